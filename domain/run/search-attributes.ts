/**
 * The names of our search attributes, all of type Keyword and none of them secret: ids, states and codes stand in clear
 * on the Temporal server (docs/architecture.md sections 3 and 4). The names are stored in histories: a rename is a breaking
 * change. SQL visibility has room for ten; we keep to eight.
 */
export const SEARCH_ATTRIBUTE_NAMES = {
  missionId: 'ManaMissionId',
  userId: 'ManaUserId',
  agentId: 'ManaAgentId',
  trigger: 'ManaTrigger',
  outcome: 'ManaOutcome',
  grantState: 'ManaGrantState',
  specHash: 'ManaSpecHash',
} as const;

/** SQL visibility stores a Keyword as varchar(255); a longer one would never be indexed, nor what comes with it. */
const LONGEST_KEYWORD = 255;

/** Cuts an id to what a Keyword holds. Real ids are far shorter; a hostile one must not stop others. */
export const toKeyword = (id: string): string => id.slice(0, LONGEST_KEYWORD).toWellFormed();
