import { z } from 'zod';

/** An agent record as it comes out of the field merge (docs/platform.md section 3); lenient like `Mission`. */
export interface Agent {
  readonly id: string;
  readonly name: string;
  readonly role: string | null;
  /** May be ciphertext (`enc:1:`). */
  readonly systemPrompt: string | null;
  /** May be ciphertext. */
  readonly memory: string | null;
  readonly policy: AgentPolicy;
  /** Tokens in any 24 hours; 0 stops the agent, null sets no limit. */
  readonly maxTokensPerDay: number | null;
  readonly maxConcurrentMissions: number;
  readonly state: 'active' | 'paused' | 'archived';
}

export const ENCRYPTED_AGENT_FIELDS = ['systemPrompt', 'memory'] as const;

const decisionSchema = z.enum(['auto', 'propose', 'deny']);
export type PolicyDecision = z.infer<typeof decisionSchema>;

const policySchema = z.object({
  tools: z.record(z.string(), decisionSchema).default({}),
  defaultsByModule: z.record(z.string(), decisionSchema).default({}),
  defaultForAi: decisionSchema,
});
export type AgentPolicy = z.infer<typeof policySchema>;

/** A policy we cannot read must not widen what an agent may do: everything is proposed, nothing is automatic. */
const CAUTIOUS_POLICY: AgentPolicy = { tools: {}, defaultsByModule: {}, defaultForAi: 'propose' };

/** `tools[name] ?? defaultsByModule[module] ?? defaultForAi` (docs/platform.md section 3). */
export const decide = (policy: AgentPolicy, tool: { name: string; module: string }): PolicyDecision =>
  own(policy.tools, tool.name) ?? own(policy.defaultsByModule, tool.module) ?? policy.defaultForAi;

const own = <T>(record: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined;

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);

/** Reads a merged record as an agent; never throws. An unreadable state counts as paused: it must not spend. */
export function parseAgent(agentId: string, record: Readonly<Record<string, unknown>>): Agent {
  const policy = policySchema.safeParse(record['policy']);
  const maxTokens = z.number().int().min(0).safeParse(record['maxTokensPerDay']);
  const concurrent = z.number().int().min(1).safeParse(record['maxConcurrentMissions']);
  const state = z.enum(['active', 'paused', 'archived']).safeParse(record['state']);
  return {
    id: agentId,
    name: text(record['name']) ?? agentId,
    role: text(record['role']),
    systemPrompt: text(record['systemPrompt']),
    memory: text(record['memory']),
    policy: policy.success ? policy.data : CAUTIOUS_POLICY,
    maxTokensPerDay: maxTokens.success ? maxTokens.data : null,
    maxConcurrentMissions: concurrent.success ? concurrent.data : 1,
    state: state.success ? state.data : 'paused',
  };
}
