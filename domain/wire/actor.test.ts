import { describe, expect, it } from 'vitest';
import { aiActor, SYSTEM_ACTOR } from './actor.ts';
import { parseAgent } from './agent.ts';

const agentNamed = (name: unknown) =>
  parseAgent('a1', { name, state: 'active', systemPrompt: 'geheim', memory: 'geheim' });

describe('aiActor', () => {
  it('names agent, mission and iteration, and gives a rationale that is the same for everybody', () => {
    const actor = aiActor(agentNamed('Recherche'), 'm1', 'i1');
    expect(actor).toEqual({
      kind: 'ai',
      principalId: 'a1',
      displayName: 'Recherche',
      missionId: 'm1',
      iterationId: 'i1',
      rationale: aiActor(null, 'm2', 'i2').rationale,
    });
    expect(JSON.stringify(actor)).not.toContain('geheim');
  });

  it('is the contract’s default without an agent', () => {
    expect(aiActor(null, 'm1', 'i1')).toMatchObject({
      principalId: 'legacy:ai-default',
      displayName: 'Mana',
    });
  });

  it('shows no ciphertext as a name', () => {
    const actor = aiActor(agentNamed('enc:1:AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA=='), 'm1', 'i1');
    expect(actor).toMatchObject({ principalId: 'a1', displayName: 'Mana' });
  });
});

it('the system actor is the contract’s', () => {
  expect(SYSTEM_ACTOR).toEqual({
    kind: 'system',
    principalId: 'system:mission-runner',
    displayName: 'Mission-Runner',
  });
});
