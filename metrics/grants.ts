import { Counter } from 'prom-client';
import { registry } from './registry.ts';
import { GRANT_VERSIONS, type GrantVersion } from '#domain/wire/grant.ts';

/** docs/platform.md section 7, in its order. */
export const UNWRAP_FAILURE_REASONS = ['not-configured', 'expired', 'malformed', 'wrap-rejected'] as const;

const unwrapFailures = new Counter({
  name: 'mana_grant_unwrap_failures_total',
  help: 'Grants that a run could not unwrap, by reason.',
  labelNames: ['reason'],
  registers: [registry],
});
const minted = new Counter({
  name: 'mana_grants_minted_total',
  help: 'Grants given out, by version.',
  labelNames: ['version'],
  registers: [registry],
});
const revoked = new Counter({
  name: 'mana_grants_revoked_total',
  help: 'Grants of the mint log that a user revoked through the API.',
  registers: [registry],
});

const scopeViolations = new Counter({
  name: 'mana_grant_scope_violations_total',
  help: 'Records that a grant would have had opened although they are not in its scope, or hold the ciphertext of another record; each is refused and audited.',
  registers: [registry],
});

// A series that appears with its first event hides that event from `increase()`.
for (const reason of UNWRAP_FAILURE_REASONS) unwrapFailures.inc({ reason }, 0);
for (const version of GRANT_VERSIONS) minted.inc({ version }, 0);

/** Counts a grant that opens nothing, unless it was absent or ended for another reason than these. */
export function countUnwrapFailure(problem: string): void {
  const reason = UNWRAP_FAILURE_REASONS.find((known) => known === problem);
  if (reason !== undefined) unwrapFailures.inc({ reason });
}

export const countScopeViolations = (records: number): void => scopeViolations.inc(records);

export const countMinted = (version: GrantVersion): void => minted.inc({ version });

export const countRevoked = (grants: number): void => revoked.inc(grants);
