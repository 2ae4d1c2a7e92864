import type { InjectionMark } from './injection-codes.ts';

/**
 * Signs that are no words: marks of chat templates, tool calls and headings, in texts as `plainView` makes them: with one
 * blank or line break at most between two words. Literals,
 * so that the linter sees that none of them takes more than linear time; `injection-patterns.test.ts` has a text for
 * each that it finds, and an ordinary one that it leaves alone.
 */
export interface SignPattern {
  readonly id: string;
  readonly mark: InjectionMark;
  readonly pattern: RegExp;
}

export const SIGN_PATTERNS: readonly SignPattern[] = [
  { id: 'chat-template', mark: 'fake-delimiter', pattern: /<\|[a-z_]{2,24}\|>/u },
  { id: 'inst', mark: 'fake-delimiter', pattern: /\[\/?inst\]|<<\/?sys>>|<\/?s>\s?\[/u },
  {
    id: 'role-speaks',
    mark: 'fake-delimiter',
    pattern:
      /(?:^|\n)(?:system|assistant|developer|entwickler|tool|systemnachricht|system\smessage)(?:\s\([^)\n]{1,30}\))?:\s?(?:you|du|ignor|from|ab|new|neue|the\suser|der\snutzer|die|please|bitte|call|rufe|override|all|alle|follow|important|wichtig|understood|verstanden|sure|okay|i\s|ich\s|your|dein)/u,
  },
  {
    id: 'end-of-data',
    mark: 'fake-delimiter',
    pattern:
      /(?:ende[nt]?\sd(?:ie|er)|end\sof\sthe|ends\sthe|end\sof)\s(?:nutzerdaten|eingabedaten|datenblock|user\sdata|data\sblock|untrusted\sdata)/u,
  },
  {
    id: 'json-call',
    mark: 'tool-call',
    pattern: /["'](?:tool_calls?|function_call|tool_name|toolname|arguments|intent)["']\s?:\s?[[{"']/u,
  },
  {
    id: 'address-to-fill-in',
    mark: 'exfiltration',
    pattern: /https?:\/\/[^\s<>"')]{1,200}[?&=/#](?:\{|\[|<|\$\{|%7b|\.\.\.)/u,
  },
  {
    id: 'dear-model',
    mark: 'addresses-model',
    pattern:
      /(?<!\p{L})(?:attention|achtung|dear|hey|hello|hallo|liebe[rs]?|hi),?\s(?:die\s|the\s)?(?:ais?|ki|llms?|chatgpt|(?:ki|ai)[\s-]?(?:assisten|agent|model|system|plan)\p{L}{0,12}|language\smodel|sprachmodell)\s?[,:!]/u,
  },
  {
    id: 'system-notice',
    mark: 'fake-authority',
    pattern:
      /(?<!\p{L})(?:system|admin|administrator|security|priority|root|developer|policy|emergency)[\s-](?:override|notice|directive|command|alert|update)(?!\p{L})\s?[:!\]—-]/u,
  },
  {
    id: 'system-notice-de',
    mark: 'fake-authority',
    pattern:
      /(?<!\p{L})(?:systemmeldung|systembefehl|admin-?anweisung|administratoranweisung|notfall-?anweisung|sicherheitsanweisung|systemanweisung|systemhinweis)(?:\s[^\n:]{0,30})?[:!]/u,
  },
];
