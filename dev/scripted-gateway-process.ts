/** The scripted gateway as a process of its own, for the demo. Prints `listening <port>` once it takes requests. */
import { tourPlanner } from './demo/tour-planner.ts';
import { demoPlanner, startScriptedGateway } from './scripted-gateway.ts';

/** `demo`: one task for any mission. `tour`: the missions of `bin/demo --tour`. */
const SCRIPTS = { demo: demoPlanner, tour: tourPlanner } as const;

const { SERVICE_KEY: serviceKey, PORT: port = '0', LOG_FILE: logFile, SCRIPT: name = 'demo' } = process.env;
if (serviceKey === undefined || serviceKey === '') throw new Error('SERVICE_KEY: missing, expected a text');
if (!/^\d{1,5}$/.test(port)) throw new Error('PORT: expected a port number, or none for a free one');

if (name !== 'demo' && name !== 'tour') throw new Error('SCRIPT: expected demo or tour');

const gateway = await startScriptedGateway({
  serviceKey,
  port: Number(port),
  script: SCRIPTS[name],
  ...(logFile === undefined ? {} : { logFile }),
});
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void gateway.close());
console.log(`listening ${gateway.port}`);
