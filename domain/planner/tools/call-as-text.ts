import { TOOL_CATALOG } from './tool-catalog.ts';

/**
 * Markup in which models call tools when their server does not read it: Qwen, Hermes, Llama, Mistral, DeepSeek, Kimi,
 * Gemma, Claude, gpt-oss. None of it is anything to tell a user.
 */
const MARKUP: readonly RegExp[] = [
  /<\/?(?:antml:)?(?:tool_calls?|toolcall|function_calls?|tool_code|tool_use|tool_request|invoke)\b/i,
  /<function[ =][\w"'=.:-]{1,80}>/i,
  /<\|(?:tool_|tool▁|python_tag|call\||action_start)/i,
  /<｜(?:DSML｜)?(?:tool|invoke|function)/,
  /\[\/?(?:TOOL_CALLS?|TOOL_REQUEST|END_TOOL_REQUEST)\]/i,
  /✿FUNCTION✿|functools\[|multi_tool_use\.|\bto=functions\./,
  /```(?:tool_code|tool_call|tool_request|function_call)/i,
];

/** A name of a tool at its place in a call: as a value of `"name":` and the like, or behind `Action:`. */
const BEFORE_NAME =
  /(?:["'](?:name|tool|tool_name|function|function_name|action|recipient_name)["']\s?:\s?["']?|(?:^|\n)\W{0,4}(?:action|tool|function|call)\s?:\s?|name=["']|\bto=)(?:functions\.|default_api\.)?$/i;
/** `create_task({`, `create_task(title=`, `"create_task": {`. */
const AFTER_NAME = /^(?:\(\s?[^\s)]|["'`]?\s?:\s?[[{])/;
/** A whole line that is nothing but a call. */
const LONE_CALL = /^[\s`]*[a-z][a-z0-9_]{0,63}\(\s*\)[\s`;]*$/;
const CONTEXT_CHARS = 40;

/**
 * Whether the words of a reply are, or hold, a call of a tool: the model meant to call it, and its server or the model
 * itself did not use the interface. Such a call is never carried out, because data that the model repeats could hold one.
 *
 * A text that is nothing but JSON counts as well: it says nothing to a user.
 */
export const holdsCallText = (words: string): boolean =>
  MARKUP.some((markup) => markup.test(words)) || isJson(words) || LONE_CALL.test(words) || namesCall(words);

function namesCall(words: string): boolean {
  for (const { 0: name, index } of words.matchAll(/[A-Za-z0-9_]+/g)) {
    if (!TOOL_CATALOG.has(name)) continue;
    const end = index + name.length;
    const before = words.slice(Math.max(0, index - CONTEXT_CHARS), index);
    if (AFTER_NAME.test(words.slice(end, end + CONTEXT_CHARS)) || BEFORE_NAME.test(before)) return true;
  }
  return false;
}

function isJson(words: string): boolean {
  const text = withoutFence(words.trim());
  if (!/^[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    // Calls one after the other, or one that was cut off in the middle.
    return /^\[?\s*\{\s*["']/.test(text);
  }
}

/** The text inside a Markdown fence, if it is in one. */
export function withoutFence(text: string): string {
  if (!text.startsWith('```')) return text;
  const start = text.indexOf('\n') + 1;
  const end = text.lastIndexOf('```');
  return start === 0 ? text : text.slice(start, end > start ? end : undefined).trim();
}
