import type { Agent } from './agent.ts';
import { cutAtWord, looksEncrypted } from '#domain/base/text/prompt-text.ts';

/** Who wrote a row (docs/platform.md section 4). */
export interface Actor {
  readonly kind: 'ai' | 'system';
  readonly principalId: string;
  readonly displayName: string;
  readonly missionId?: string;
  readonly iterationId?: string;
  readonly rationale?: string;
}

export const SYSTEM_ACTOR: Actor = {
  kind: 'system',
  principalId: 'system:mission-runner',
  displayName: 'Mission-Runner',
};

/** A fixed text: a rationale must not leak what was decrypted (docs/platform.md section 4). */
const RATIONALE = 'Geplanter Lauf der Mission im Hintergrund';

/** The database takes no row of ours with an actor without end. */
const MAX_NAME_CHARS = 200;

/** @param agent null for a mission without one */
export const aiActor = (agent: Agent | null, missionId: string, iterationId: string): Actor => ({
  kind: 'ai',
  principalId: agent?.id ?? 'legacy:ai-default',
  displayName:
    agent === null || looksEncrypted(agent.name) ? 'Mana' : cutAtWord(agent.name, MAX_NAME_CHARS, '…'),
  missionId,
  iterationId,
  rationale: RATIONALE,
});
