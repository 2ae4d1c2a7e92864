/**
 * `bin/yarn eval`: thirty missions of made-up users, planned by a gateway in the whole service, and scored by rule. The last
 * line on stdout is the total; `--json FILE` writes all of it.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Option } from 'commander';
import { commandLine, someOf, wholeNumber } from '#dev/command-line.ts';
import { askForOneWord, outsideGatewayOf, type OutsideGateway } from '#dev/outside-gateway.ts';
import { startScriptedGateway } from '#dev/scripted-gateway.ts';
import { startStack } from '#dev/stack.ts';
import { requestGrant } from '#dev/web-app.ts';
import { MISSIONS } from '#eval/missions.ts';
import { badPlanner } from '#eval/planners/bad.ts';
import { goodPlanner } from '#eval/planners/good.ts';
import { reportOf, tableOf } from '#eval/report.ts';
import { Exchanges, runMissions } from '#eval/run.ts';
import { scoreOf } from '#eval/score.ts';

const PLANNERS = { good: goodPlanner, bad: badPlanner } as const;
/** What a model on the user's own machine takes in without long waits, and a provider without a 429. */
const OUTSIDE_AT_ONCE = 4;
/** For one mission; a real model may have to be loaded, and thinks. */
const [SCRIPTED_DEADLINE_MS, OUTSIDE_DEADLINE_MS] = [60_000, 900_000];

const startedMs = Date.now();
const seconds = (): number => Math.round((Date.now() - startedMs) / 100) / 10;
const say = (line: string): void => console.error(`${seconds().toFixed(1).padStart(6)} s  ${line}`);

const settings = readArguments();
/** Ends what was started, the last one first. */
const stops: (() => Promise<unknown>)[] = [];
const stopAll = async (): Promise<void> => {
  for (const stop of stops.splice(0).reverse()) await stop();
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => void stopAll().then(() => process.exit(130)));

try {
  process.exitCode = await evaluate();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await stopAll();
}

function readArguments() {
  const ids = MISSIONS.map(({ id }) => id);
  const {
    only = ids,
    json,
    ...values
  } = commandLine(
    'bin/yarn eval',
    'Thirty missions of made-up users, planned in the whole service and scored by rule (docs/eval.md).',
  )
    .option('--json <file>', 'also write the report to this file')
    .option('--min-score <percent>', 'fail below this score', wholeNumber(0, 100), 0)
    .option(
      '--at-once <n>',
      `missions that are under way together: ${MISSIONS.length} by default, ${OUTSIDE_AT_ONCE} with a gateway of your own`,
      wholeNumber(1, MISSIONS.length),
    )
    .option('--only <ids>', 'these missions of eval/missions.ts, with commas between them', someOf(ids))
    .addOption(
      new Option('--scripted <name>', 'which scripted model plans without MANA_LLM_URL')
        .choices(Object.keys(PLANNERS))
        .default('good'),
    )
    .addHelpText(
      'after',
      '\nWith MANA_LLM_URL, MANA_SERVICE_KEY and MANA_LLM_MODEL (default mana/reasoning) that gateway plans.',
    )
    .parse()
    .opts<{
      json?: string;
      minScore: number;
      atOnce?: number;
      only?: readonly string[];
      scripted: keyof typeof PLANNERS;
    }>();
  return {
    ...values,
    jsonFile: json ?? null,
    missions: only.flatMap((wanted) => MISSIONS.filter(({ id }) => id === wanted)),
    atOnce: values.atOnce ?? null,
  };
}

/** @returns the exit code */
async function evaluate(): Promise<number> {
  const outside = outsideGatewayOf(process.env);
  const gateway = outside ?? (await scriptedGateway());
  const model = await askForOneWord(gateway);
  say(`${model} plans ${settings.missions.length} missions`);
  const exchanges = new Exchanges(settings.missions);
  const stack = await startStack({
    ...{ ports: {}, say, gateway },
    onExchange: (request, replyText) => exchanges.add(request, replyText),
  });
  stops.push(() => stack.stop());
  const outcomes = await runMissions(
    {
      ...{ webApp: stack.webApp, superuserUrl: stack.databases.superuser.syncUrl, exchanges },
      requestGrant: async (userId, body) =>
        requestGrant(stack.apiUrl, await stack.issuer.issueToken({ sub: userId }), body),
    },
    settings.missions,
    {
      atOnce: settings.atOnce ?? (outside === null ? settings.missions.length : OUTSIDE_AT_ONCE),
      deadlineMs: outside === null ? SCRIPTED_DEADLINE_MS : OUTSIDE_DEADLINE_MS,
      say,
    },
  );
  const scores = outcomes.map((outcome) => scoreOf(outcome, Date.now()));
  const report = reportOf(scores, { model, seconds: seconds() });
  if (settings.jsonFile !== null) writeFileSync(settings.jsonFile, `${JSON.stringify(report, null, 2)}\n`);
  console.log(tableOf(report));
  return report.score >= settings.minScore ? 0 : 1;
}

/** In this process, and reached over HTTP like any other. */
async function scriptedGateway(): Promise<OutsideGateway> {
  const serviceKey = randomBytes(24).toString('base64url');
  const gateway = await startScriptedGateway({ serviceKey, script: PLANNERS[settings.scripted] });
  stops.push(() => gateway.close());
  const model = `scripted/${settings.scripted}`;
  return { url: gateway.url, serviceKey, model, settings: { MANA_LLM_MODEL: model } };
}
