/**
 * A gateway that holds every request until SIGUSR2, then answers all. A process of its own, so that its memory is not
 * counted. Prints `listening <port>`, and `holding` once so many requests wait as HOLD says.
 */
import { gate, replyWithText, startScriptedGateway } from '#dev/scripted-gateway.ts';

const { SERVICE_KEY: serviceKey = '', HOLD: hold = '0' } = process.env;
const held = gate();
const gateway = await startScriptedGateway({
  serviceKey,
  script: (_request, index) => {
    if (index + 1 === Number(hold)) console.log('holding');
    return held.hold(replyWithText('Nothing has to be done.'));
  },
});
process.once('SIGUSR2', held.open);
process.once('SIGTERM', () => void gateway.close());
console.log(`listening ${gateway.port}`);
