import { createHash } from 'node:crypto';
import type { OperatorSession } from '#api/plugins/operator-session.ts';

const STYLE =
  'body{font:16px system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}' +
  'input,button{font:inherit;padding:.4rem .6rem}input{width:100%;box-sizing:border-box;margin:.5rem 0 1rem}' +
  '[role=alert]{color:#b00020}';

/** Nothing is loaded, nothing runs, nobody may frame it; the form goes nowhere else. */
export const LOGIN_PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  // Without it a browser would send the form with `Origin: null`.
  'referrer-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;

/** The operator's login page as HTML; it repeats nothing of the request. */
export const loginPage = (session: OperatorSession | null, problem: string | null = null): string =>
  page(session === null ? loginForm(problem) : logoutForm(session));

const page = (body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Mana Missions: decode payloads</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Mana Missions</h1>
${body}
</body>
</html>
`;

const loginForm = (
  problem: string | null,
): string => `<p>The Temporal UI shows ids, states and times once you are logged in here.</p>
${problem === null ? '' : `<p role="alert">${problem}</p>\n`}<form method="post" action="login">
<label for="token">Operator token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Log in</button>
</form>`;

const logoutForm = ({
  expiresAtMs,
}: OperatorSession): string => `<p role="status">Logged in until ${new Date(expiresAtMs).toISOString()}.</p>
<p>Now reload the Temporal UI. If payloads stay encrypted there, open its codec server settings (the glasses at the top),
choose the browser's setting, give this page's address without <code>/login</code>, and switch on "Include cross-origin
credentials".</p>
<form method="post" action="logout">
<button type="submit">Log out</button>
</form>`;
