import { z } from 'zod';
import type { UserId } from '#domain/base/ids.ts';

/** What a mission grant covers and how its key is derived (docs/platform.md section 7). */
export interface GrantDerivation {
  readonly version: GrantVersion;
  readonly missionId: string;
  /** Sorted by UTF-16 code units; duplicates stay; never empty. */
  readonly tables: string[];
  /** `"<table>:<id>"`, sorted like `tables`; 1 to 1000. */
  readonly recordIds: string[];
}

/** The response of the grant endpoint, stored unchanged as `mission.grant`. */
export interface Grant {
  /** Base64; any text here, because an expired grant is `expired` even if its key is malformed. */
  readonly wrappedKey: string;
  readonly derivation: GrantDerivation;
  readonly issuedAt: string;
  /** Any text; a date that cannot be read counts as expired. */
  readonly expiresAt: string;
}

/** What a version 2 grant is bound to, so that nobody who can edit a mission record can stretch it. */
export interface GrantBinding {
  readonly userId: UserId;
  readonly derivation: GrantDerivation;
  readonly issuedAt: string;
  readonly expiresAt: string;
}

export const GRANT_VERSIONS = ['v1', 'v2'] as const;
export type GrantVersion = (typeof GRANT_VERSIONS)[number];

export const MAX_GRANT_RECORD_IDS = 1000;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
export const GRANT_TTL_DEFAULT_MS = 7 * DAY_MS;
export const GRANT_TTL_MIN_MS = HOUR_MS;
export const GRANT_TTL_MAX_MS = 30 * DAY_MS;

const grantSchema = z.object({
  wrappedKey: z.string(),
  derivation: z.object({
    version: z.enum(GRANT_VERSIONS),
    missionId: z.string(),
    tables: z.array(z.string()).min(1),
    recordIds: z.array(z.string()).min(1).max(MAX_GRANT_RECORD_IDS),
  }),
  issuedAt: z.string(),
  expiresAt: z.string(),
});

/** Reads `mission.grant`; unknown keys are dropped, anything else out of shape gives null. */
export function parseGrant(value: unknown): Grant | null {
  const parsed = grantSchema.safeParse(value);
  return parsed.success ? parsed.data : null;
}

/** A sorted copy, by UTF-16 code units and not by locale or code point: what JavaScript's plain `sort()` does. */
export const sortUtf16 = (list: readonly string[]): string[] => [...list].sort();

/** Reads the name of a record in a scope, `"notes:n1"`. The first colon splits, as ids may hold colons; null if one part is missing. */
export function splitRecordId(recordId: string): { table: string; id: string } | null {
  const colon = recordId.indexOf(':');
  if (colon < 1 || colon === recordId.length - 1) return null;
  return { table: recordId.slice(0, colon), id: recordId.slice(colon + 1) };
}

/** A text that is equal for two derivations exactly if version, mission, tables and record ids are (in any order). */
export const scopeKey = ({ version, missionId, tables, recordIds }: GrantDerivation): string =>
  JSON.stringify([version, missionId, sortUtf16(tables), sortUtf16(recordIds)]);

/**
 * The text that a version 2 grant stands for: a JSON array without white space, in ECMAScript's `JSON.stringify` form,
 *
 * `["mana-missions/grant/v2",userId,version,missionId,[tables…],[recordIds…],issuedAt,expiresAt]`
 *
 * with both lists sorted by UTF-16 code units and the dates as the texts they are in the grant. JSON strings are
 * quoted and escaped (lone surrogates too, as `\udc00`), so two different grants never give the same text, as commas
 * and colons in version 1 can. Its UTF-8 SHA-256 is the RSA-OAEP label, and it is part of the HKDF `info`.
 */
export const canonicalGrantEncoding = ({ userId, derivation, issuedAt, expiresAt }: GrantBinding): string =>
  JSON.stringify([
    'mana-missions/grant/v2',
    userId,
    derivation.version,
    derivation.missionId,
    sortUtf16(derivation.tables),
    sortUtf16(derivation.recordIds),
    issuedAt,
    expiresAt,
  ]);

/**
 * The HKDF `info` of the mission data key, to be taken as UTF-8.
 *
 * v1 is the contract's: equal scopes of a mission share one key. v2 also holds user, issue and expiry, so each grant
 * has a key of its own: `mana-ai-mission-grant:v2:` followed by the canonical encoding.
 */
export function mdkInfo(binding: GrantBinding): string {
  const { version, tables, recordIds } = binding.derivation;
  switch (version) {
    case 'v1':
      return `mana-ai-mission-grant:v1:tables=${sortUtf16(tables).join(',')}:ids=${sortUtf16(recordIds).join(',')}`;
    case 'v2':
      return `mana-ai-mission-grant:v2:${canonicalGrantEncoding(binding)}`;
  }
}

/** Whole milliseconds within the allowed range; what is no finite number counts as absent. */
export function clampTtlMs(ttlMs: unknown): number {
  if (typeof ttlMs !== 'number' || !Number.isFinite(ttlMs)) return GRANT_TTL_DEFAULT_MS;
  return Math.min(Math.max(Math.trunc(ttlMs), GRANT_TTL_MIN_MS), GRANT_TTL_MAX_MS);
}
