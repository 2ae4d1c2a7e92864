/**
 * What injected instructions look like: a closed set of codes, for the user, for metrics and for `POLICY_MODE`. A mark
 * is a hint and no proof, and its absence proves nothing (docs/injection.md).
 */
export const INJECTION_MARKS = [
  /** Earlier instructions, rules or the mission are to be ignored or replaced. */
  'ignore-instructions',
  /** Somebody else speaks or is to be played: "you are now", "developer mode". */
  'role-change',
  /** The prompt is to be shown or repeated. */
  'system-prompt',
  /** Marks of chat templates, roles and data blocks. */
  'fake-delimiter',
  /** Tool calls written out, or tools named together with an order. */
  'tool-call',
  /** Records are to be sent to an address. */
  'exfiltration',
  /** The user is not to learn of it. */
  'secrecy',
  /** Keys and passwords are asked for. */
  'credentials',
  /** Sentences in base64 or hexadecimal digits. */
  'encoded-payload',
  /** Words that no reader sees. */
  'hidden-text',
  /** The text speaks to an AI. */
  'addresses-model',
  /** Claims of permission, urgency of the system, or of the user's consent. */
  'fake-authority',
] as const;
export type InjectionMark = (typeof INJECTION_MARKS)[number];
