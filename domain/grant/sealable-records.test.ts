import { describe, expect, it } from 'vitest';
import type { GrantDerivation } from '#domain/wire/grant.ts';
import { inputsOutOfScope, recordsInScope, sealableRecord, type SealableRecord } from './sealable-records.ts';

const derivation = (tables: string[], recordIds: string[]): GrantDerivation => ({
  version: 'v2',
  missionId: 'm1',
  tables,
  recordIds,
});
const names = (records: readonly SealableRecord[]): string[] =>
  records.map(({ appId, table, recordId }) => `${appId}/${table}:${recordId}`);
const inputs = (...pairs: [table: string, id: string][]) =>
  pairs.map(([table, id]) => ({ module: table, table, id }));

describe('recordsInScope', () => {
  it('is what the grant names, and implied the mission and the pinned agent', () => {
    const scope = recordsInScope(derivation(['notes', 'tasks'], ['notes:n1', 'tasks:t1']), 'm1', 'a1');
    expect(names(scope)).toEqual(['ai/aiMissions:m1', 'ai/agents:a1', 'notes/notes:n1', 'todo/tasks:t1']);
  });

  it('leaves the agent out when none was pinned', () => {
    expect(names(recordsInScope(derivation(['notes'], ['notes:n1']), 'm1', null))).toEqual([
      'ai/aiMissions:m1',
      'notes/notes:n1',
    ]);
  });

  it('holds each record once, however often it is named', () => {
    const named = ['notes:n1', 'notes:n1', 'aiMissions:m1', 'agents:a1'];
    const scope = recordsInScope(derivation(['notes', 'aiMissions', 'agents'], named), 'm1', 'a1');
    expect(names(scope)).toEqual(['ai/aiMissions:m1', 'ai/agents:a1', 'notes/notes:n1']);
  });

  it('takes no record of a table that the grant does not list, and none of a table that is unknown here', () => {
    const scope = recordsInScope(derivation(['notes', 'secrets'], ['tasks:t1', 'secrets:s1']), 'm1', null);
    expect(names(scope)).toEqual(['ai/aiMissions:m1']);
  });

  it('keeps ids that hold colons, and passes over names that are none', () => {
    const scope = recordsInScope(derivation(['notes'], ['notes:a:b', 'notes', ':n1', 'notes:']), 'm1', null);
    expect(names(scope)).toEqual(['ai/aiMissions:m1', 'notes/notes:a:b']);
  });
});

describe('inputsOutOfScope', () => {
  it('is what the mission names and the grant does not', () => {
    const scope = recordsInScope(derivation(['notes'], ['notes:n1']), 'm1', null);
    const outside = inputsOutOfScope(inputs(['notes', 'n1'], ['notes', 'n2'], ['nowhere', 'x']), scope);
    expect(names(outside)).toEqual(['notes/notes:n2']);
  });
});

it('the encrypted fields of a record are those of the contract', () => {
  expect(sealableRecord('notes', 'n1')?.encryptedFields).toEqual(['title', 'content']);
  expect(sealableRecord('agents', 'a1')?.encryptedFields).toEqual(['systemPrompt', 'memory']);
  expect(sealableRecord('aiMissions', 'm1')?.encryptedFields).toEqual([
    'title',
    'conceptMarkdown',
    'objective',
  ]);
  expect(sealableRecord('timeBlocks', 'b1')).toBeNull();
});
