import { ENCRYPTED_AGENT_FIELDS } from '#domain/wire/agent.ts';
import { splitRecordId, type GrantDerivation } from '#domain/wire/grant.ts';
import { inputModuleOfTable } from '#domain/wire/input-modules.ts';
import { ENCRYPTED_MISSION_FIELDS, type MissionInput } from '#domain/wire/mission.ts';

/** A record that a grant may open, and the fields of it that are encrypted. */
export interface SealableRecord {
  readonly appId: string;
  readonly table: string;
  readonly recordId: string;
  readonly encryptedFields: readonly string[];
}

const mission = (missionId: string): SealableRecord => ({
  appId: 'ai',
  table: 'aiMissions',
  recordId: missionId,
  encryptedFields: ENCRYPTED_MISSION_FIELDS,
});

const agent = (agentId: string): SealableRecord => ({
  appId: 'ai',
  table: 'agents',
  recordId: agentId,
  encryptedFields: ENCRYPTED_AGENT_FIELDS,
});

/** The record of a table we know, or null: of others we neither know the app nor what is encrypted. */
export function sealableRecord(table: string, recordId: string): SealableRecord | null {
  if (table === 'aiMissions') return mission(recordId);
  if (table === 'agents') return agent(recordId);
  const module = inputModuleOfTable(table);
  return module === null
    ? null
    : { appId: module.appId, table, recordId, encryptedFields: module.encryptedFields };
}

/** What every grant of a mission opens: the mission itself, and the agent pinned at the grant's first use. */
export const ownRecords = (missionId: string, pinnedAgentId: string | null): SealableRecord[] =>
  pinnedAgentId === null ? [mission(missionId)] : [mission(missionId), agent(pinnedAgentId)];

/**
 * The records a grant opens: those it names, of tables it names too, and implied the mission's own
 * (docs/architecture.md section 2). Each record once.
 */
export function recordsInScope(
  derivation: GrantDerivation,
  missionId: string,
  pinnedAgentId: string | null,
): SealableRecord[] {
  const tables = new Set(derivation.tables);
  const named = derivation.recordIds.flatMap((recordId) => {
    const parts = splitRecordId(recordId);
    if (parts === null || !tables.has(parts.table)) return [];
    return sealableRecord(parts.table, parts.id) ?? [];
  });
  return [
    ...new Map(
      [...ownRecords(missionId, pinnedAgentId), ...named].map((record) => [keyOf(record), record]),
    ).values(),
  ];
}

/** Inputs that the mission names and the grant does not: they stay closed. */
export function inputsOutOfScope(
  inputs: readonly MissionInput[],
  scope: readonly SealableRecord[],
): SealableRecord[] {
  const inScope = new Set(scope.map(keyOf));
  const outside = inputs.flatMap((input) => sealableRecord(input.table, input.id) ?? []);
  return outside.filter((record) => !inScope.has(keyOf(record)));
}

export const isSameRecord = (one: SealableRecord, other: SealableRecord): boolean =>
  keyOf(one) === keyOf(other);

const keyOf = (record: SealableRecord): string => `${record.table}:${record.recordId}`;
