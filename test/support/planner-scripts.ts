import {
  replyWithText,
  replyWithToolCalls,
  type ScriptedResponse,
  type RecordedRequest,
} from '#dev/scripted-gateway.ts';

/** The round that a request asks for: each earlier one left an answer of the model in the conversation. */
export const roundOf = ({ body }: RecordedRequest): number =>
  1 + body.messages.filter((message) => message.role === 'assistant').length;

/** Two rounds: a task is planned in the first, the second ends the run. */
export const replyOfTwoRounds = (request: RecordedRequest): ScriptedResponse =>
  roundOf(request) === 1
    ? replyWithToolCalls([{ name: 'create_task', arguments: { title: 'Pack the tent', priority: 'high' } }])
    : replyWithText('One task is planned.');

/** Requests of the mission whose objective this is, for one round. */
export const requestsOf = (
  requests: readonly RecordedRequest[],
  objective: string,
  round: number,
): RecordedRequest[] =>
  requests.filter((request) => request.bodyText.includes(objective) && roundOf(request) === round);
