import { defineSearchAttributeKey } from '@temporalio/common';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';

/** Typed keys of our search attributes; `bin/yarn missions setup` registers them. */
export const MISSION_SEARCH_ATTRIBUTES = {
  missionId: defineSearchAttributeKey(SEARCH_ATTRIBUTE_NAMES.missionId, 'KEYWORD'),
  userId: defineSearchAttributeKey(SEARCH_ATTRIBUTE_NAMES.userId, 'KEYWORD'),
  agentId: defineSearchAttributeKey(SEARCH_ATTRIBUTE_NAMES.agentId, 'KEYWORD'),
  trigger: defineSearchAttributeKey(SEARCH_ATTRIBUTE_NAMES.trigger, 'KEYWORD'),
  outcome: defineSearchAttributeKey(SEARCH_ATTRIBUTE_NAMES.outcome, 'KEYWORD'),
  grantState: defineSearchAttributeKey(SEARCH_ATTRIBUTE_NAMES.grantState, 'KEYWORD'),
  specHash: defineSearchAttributeKey(SEARCH_ATTRIBUTE_NAMES.specHash, 'KEYWORD'),
};
