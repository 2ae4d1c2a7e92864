import type { RecordedRequest } from '#dev/recorded-request.ts';
import type { EvalMission } from '#eval/mission.ts';
import { MISSIONS } from '#eval/missions.ts';

/** The mission whose title stands in a request. */
export function missionIn({ body }: RecordedRequest): EvalMission | undefined {
  const said = JSON.stringify(body.messages);
  return MISSIONS.find(({ title }) => said.includes(title));
}

/** From 1: each earlier round left an answer of the model in the conversation. */
export const roundOf = ({ body }: RecordedRequest): number =>
  1 + body.messages.filter(({ role }) => role === 'assistant').length;
