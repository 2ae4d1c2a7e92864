import { z } from 'zod';

/** Every answer but a success. */
export const errorSchema = z.object({ error: z.string(), code: z.string() });

const DESCRIPTIONS = {
  400: 'BAD_REQUEST: the text says where, what was found and what is allowed',
  401: 'UNAUTHORIZED: no valid token or key; or USER_ERASED',
  404: 'NOT_FOUND, or VAULT_NOT_INITIALISED',
  409: 'ZK_ACTIVE: zero-knowledge mode is on; or ALREADY_RUNNING, MISSION_NOT_ACTIVE, AGENT_NOT_ACTIVE, RUN_FINISHED',
  413: 'BAD_REQUEST: the body is too large',
  429: 'RATE_LIMITED: the header retry-after says when to try again, in seconds',
  500: 'INTERNAL, without details',
  503: 'GRANT_NOT_CONFIGURED, IDENTITY_UNAVAILABLE, TEMPORAL_UNAVAILABLE, DATABASE_UNAVAILABLE, PLANNING_STOPPED or TIMEOUT',
} as const;

const described = (status: keyof typeof DESCRIPTIONS) =>
  errorSchema.meta({ description: DESCRIPTIONS[status] });
const RESPONSES = {
  400: described(400),
  401: described(401),
  404: described(404),
  409: described(409),
  413: described(413),
  429: described(429),
  500: described(500),
  503: described(503),
};
type ErrorStatus = keyof typeof RESPONSES;

/** The error answers of a route, for its response schema. */
export const errorResponses = <Status extends ErrorStatus>(
  ...statuses: readonly Status[]
): Pick<typeof RESPONSES, Status> =>
  Object.fromEntries(statuses.map((status) => [status, RESPONSES[status]])) as Pick<typeof RESPONSES, Status>;
