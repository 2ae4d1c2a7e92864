import packageJson from '../package.json' with { type: 'json' };

export const VERSION: string = packageJson.version;

/**
 * What `GET /health` says for probes of the service before (docs/upgrade-from-before.md), which read the state of its tick besides `ok` and
 * `version`. We need no tick: schedules fire by themselves, so it is never off.
 */
export const TICK: { readonly enabled: boolean } = Object.freeze({ enabled: true });
