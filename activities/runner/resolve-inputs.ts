import { randomBytes } from 'node:crypto';
import { isEncryptedValue } from '../../crypto/field-value.ts';
import { openSealedRecord } from '../../crypto/sealed-record.ts';
import type { UserTransaction } from '../../db/client.ts';
import { readAgent } from '../../db/missions.ts';
import type { ReadMission } from '../../db/missions.ts';
import { readSealedRows } from '../../db/run-storage.ts';
import { readRowsOfRecords, recordKey } from '../../db/sync-changes.ts';
import { timeZoneOfMission } from '../../db/time-zones.ts';
import type { Agent } from '../../domain/agent.ts';
import type { ChatMessage } from '../../domain/conversation.ts';
import { mergeRecord } from '../../domain/field-merge.ts';
import { toMissionId, toWorkflowRunId } from '../../domain/ids.ts';
import type { UserId } from '../../domain/ids.ts';
import { inputModuleOfTable } from '../../domain/input-modules.ts';
import type { InputModule } from '../../domain/input-modules.ts';
import { formatInstant } from '../../domain/instant.ts';
import type { MissionInput } from '../../domain/mission.ts';
import { renderInput } from '../../domain/prompt-inputs.ts';
import type { ResolvedInput, UnreadableInput } from '../../domain/prompt-inputs.ts';
import { buildPrompt } from '../../domain/planner-prompt.ts';
import type { RunRef } from '../../domain/run.ts';

export interface ResolvedPrompt {
  readonly prompt: ChatMessage[];
  readonly unreadableInputs: UnreadableInput[];
}

type OpenedRecords = ReadonlyMap<string, Readonly<Record<string, unknown>>>;

/**
 * Builds the first round's messages from the mission, its agent and its inputs, with what was sealed for this run in
 * place of the ciphertext. Ciphertext that was not sealed stays out: such an input is named as unreadable.
 *
 * @param mdk null for a run without a usable grant
 */
export async function resolvePrompt(
  tx: UserTransaction,
  userId: UserId,
  run: RunRef,
  read: ReadMission,
  options: { readonly agentId: string | null; readonly mdk: Buffer | null; readonly nowMs: number },
): Promise<ResolvedPrompt> {
  const opened: OpenedRecords =
    options.mdk === null ? new Map() : await openSealed(tx, userId, run, options.mdk);
  const own = opened.get(recordKey('aiMissions', run.missionId)) ?? {};
  const inputs = await resolveInputs(tx, userId, read.mission.inputs, opened);
  const { mission } = read;
  const prompt = buildPrompt({
    mission: {
      title: plain(own['title'] ?? mission.title),
      conceptMarkdown: plain(own['conceptMarkdown'] ?? mission.conceptMarkdown),
      objective: plain(own['objective'] ?? mission.objective),
    },
    agent: await resolveAgent(tx, userId, options.agentId, opened),
    inputs: inputs.resolved,
    unreadableInputs: inputs.unreadable,
    recentIterations: mission.iterations,
    nowIso: formatInstant(options.nowMs),
    timeZone: (await timeZoneOfMission(tx, userId, toMissionId(run.missionId))) ?? 'UTC',
    delimiter: randomBytes(12).toString('hex'),
  });
  return { prompt, unreadableInputs: inputs.unreadable };
}

async function openSealed(
  tx: UserTransaction,
  userId: UserId,
  run: RunRef,
  mdk: Buffer,
): Promise<OpenedRecords> {
  const opened = new Map<string, Record<string, unknown>>();
  for (const row of await readSealedRows(tx, userId, run.runId)) {
    const fields = openSealedRecord(
      mdk,
      {
        userId,
        missionId: toMissionId(run.missionId),
        runId: toWorkflowRunId(run.runId),
        table: row.table,
        recordId: row.recordId,
      },
      row.sealed,
    );
    if (fields !== null) opened.set(recordKey(row.table, row.recordId), fields);
  }
  return opened;
}

async function resolveInputs(
  tx: UserTransaction,
  userId: UserId,
  inputs: readonly MissionInput[],
  opened: OpenedRecords,
): Promise<{ resolved: ResolvedInput[]; unreadable: UnreadableInput[] }> {
  const known = inputs.map((input) => ({ input, module: inputModuleOfTable(input.table) }));
  const refs = known.flatMap(({ input, module }) =>
    module === null ? [] : { appId: module.appId, table: module.table, recordId: input.id },
  );
  const rows = await readRowsOfRecords(tx, userId, refs);
  const resolved: ResolvedInput[] = [];
  const unreadable: UnreadableInput[] = [];
  for (const { input, module } of known) {
    const key = recordKey(input.table, input.id);
    const merged = mergeRecord(input.id, rows.get(key) ?? []);
    if (module === null) unreadable.push({ ...input, reason: 'unknown kind of record' });
    else if (merged === null) unreadable.push({ ...input, reason: 'missing or deleted' });
    else {
      const record = { ...merged.record, ...opened.get(key) };
      const closed = closedFields(module, record);
      if (closed.length > 0)
        unreadable.push({ ...input, reason: 'encrypted, and not covered by a usable grant' });
      if (closed.length < presentFields(module, record).length) {
        resolved.push(renderInput(module, input, withoutFields(record, closed)));
      }
    }
  }
  return { resolved, unreadable };
}

const presentFields = (module: InputModule, record: Readonly<Record<string, unknown>>): string[] =>
  [...module.encryptedFields, ...module.plainFields].filter(
    (field) => (record[field.split('.')[0] ?? field] ?? null) !== null,
  );

const closedFields = (module: InputModule, record: Readonly<Record<string, unknown>>): string[] =>
  module.encryptedFields.filter((field) => isEncryptedValue(record[field]));

const withoutFields = (
  record: Readonly<Record<string, unknown>>,
  fields: readonly string[],
): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).filter(([field]) => !fields.includes(field)));

async function resolveAgent(
  tx: UserTransaction,
  userId: UserId,
  agentId: string | null,
  opened: OpenedRecords,
): Promise<Pick<Agent, 'name' | 'role' | 'systemPrompt' | 'memory'> | null> {
  if (agentId === null) return null;
  const read = await readAgent(tx, userId, agentId);
  if (read === null) return null;
  const fields = opened.get(recordKey('agents', agentId)) ?? {};
  return {
    name: read.agent.name,
    role: read.agent.role,
    systemPrompt: plain(fields['systemPrompt'] ?? read.agent.systemPrompt),
    memory: plain(fields['memory'] ?? read.agent.memory),
  };
}

/** A text that may be shown to the model: never ciphertext, never another type. */
const plain = (value: unknown): string | null =>
  typeof value === 'string' && !isEncryptedValue(value) ? value : null;
