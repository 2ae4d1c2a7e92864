import type { PromptLanguage } from '#domain/base/language.ts';
import { PROMPT_WORDING } from './prompt-wording.ts';
import { estimateTokens } from './token-estimate.ts';

/** How much a model reads and writes at a time; in tokens, by our estimates of them. */
export interface ModelWindow {
  /** Request and reply together. */
  readonly contextTokens: number;
  /** What may be asked for as a reply where there is room. */
  readonly maxReplyTokens: number;
}

/** A reply gets no more than this share of a window. */
const REPLY_SHARE = 0.25;
/** Some closing words. */
const LEAST_REPLY_TOKENS = 256;
/** Estimates, and what a template puts around messages. */
const MARGIN = 0.08;

/**
 * `max_tokens` of a request.
 *
 * @param asked estimated tokens of the request: one that found no way to fit leaves less to its reply
 */
export function replyTokens(window: ModelWindow, asked = 0): number {
  const { contextTokens, maxReplyTokens } = window;
  const most = Math.min(maxReplyTokens, Math.floor(contextTokens * REPLY_SHARE));
  const tooMuch = asked === 0 ? 0 : Math.max(0, asked - requestTokens(window));
  return Math.max(Math.min(most, LEAST_REPLY_TOKENS), most - tooMuch);
}

/** What messages and tools of a request may have together. */
export const requestTokens = (window: ModelWindow): number =>
  Math.floor((window.contextTokens - replyTokens(window)) * (1 - MARGIN));

/** Of that, what a first round may have: the rounds after it need some. */
export const FIRST_ROUND_SHARE = 0.7;

/** Answers of one round together; reading everything many times over would only fill the model's window. */
export const MAX_READ_CHARS = 32_000;
/** Of what a request may have, for the answers of one round's reading tools. */
const READ_SHARE = 0.25;
const CHARS_PER_TOKEN = 2;

/** In UTF-16 code units. */
export const readChars = (window: ModelWindow): number =>
  Math.min(MAX_READ_CHARS, Math.floor(requestTokens(window) * READ_SHARE * CHARS_PER_TOKEN));

/** Of what a request may have: the tools that a mission makes likely, and those that its rounds find. */
const [LIKELY_SHARE, FOUND_SHARE] = [0.15, 0.25];
/** Of tools besides the core that a first round offers in any window; the rest is found. */
const MAX_LIKELY_TOKENS = 800;

/** In tokens; what does not fit can be called all the same. */
export interface ToolRoom {
  readonly likely: number;
  readonly found: number;
  /** For all tools of a request together: what the messages leave that have to stay in it. */
  readonly all: number;
}

/** @param messagesTokens of the messages that have to stay; 0 as long as they can still be made to fit */
export function toolRoom(window: ModelWindow, messagesTokens: number): ToolRoom {
  const room = requestTokens(window);
  return {
    likely: Math.min(MAX_LIKELY_TOKENS, Math.floor(room * LIKELY_SHARE)),
    found: Math.floor(room * FOUND_SHARE),
    all: Math.max(0, room - messagesTokens),
  };
}

/** The core tools, and the finder of an agent that may propose everything. */
const TOOLS_TOKENS = 700;
/** A mission in its own words, and something of its data. */
const MISSION_TOKENS = 1_100;

/** The smallest window in which a mission can be planned. */
export function leastContextTokens(): number {
  const rules = Math.max(
    ...(Object.keys(PROMPT_WORDING) as PromptLanguage[]).map((language) =>
      estimateTokens(PROMPT_WORDING[language].rules),
    ),
  );
  const request = (rules + TOOLS_TOKENS + MISSION_TOKENS) / FIRST_ROUND_SHARE;
  return Math.ceil(request / (1 - MARGIN) / (1 - REPLY_SHARE) / 500) * 500;
}

/** From this share of its room on a conversation is to be summarised. */
const COMPACT_SHARE = 0.75;
/** A summary with the steps has about as many, so anything less would free nothing. */
const SUMMARY_TOKENS = 2_500;
/** What has to become free, or it would soon be to be done again. */
const FREED_SHARE = 0.15;

/**
 * Whether earlier rounds should be summarised: the next request comes near the window, and enough of it are rounds that no
 * summary stands for yet.
 *
 * @param nextTokens of the next request, with its tools and the answers to all calls
 * @param roundsTokens of the rounds among them that are not summarised
 */
export function shouldCompact(
  { nextTokens, roundsTokens }: { readonly nextTokens: number; readonly roundsTokens: number },
  window: ModelWindow,
): boolean {
  const room = requestTokens(window);
  const freed = roundsTokens - Math.min(SUMMARY_TOKENS, room * FREED_SHARE);
  return nextTokens > room * COMPACT_SHARE && freed > room * FREED_SHARE;
}
