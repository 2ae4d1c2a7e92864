import type { LightMyRequestResponse } from 'fastify';
import type { MissionSystem } from './mission-system.ts';
import type { WebAppUser } from '#dev/web-app.ts';

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

/** A user of the web app who talks to the API. */
export interface ApiUser {
  readonly user: WebAppUser;
  /** @param path below `/api/v1/me/missions/` */
  ask(method: Method, path: string, payload?: object): Promise<LightMyRequestResponse>;
}

export async function signIn(system: MissionSystem, user: WebAppUser): Promise<ApiUser> {
  const token = await system.issuer.issueToken({ sub: user.userId });
  return {
    user,
    ask: (method, path, payload) =>
      system.api.inject({
        method,
        url: `/api/v1/me/missions/${path}`,
        headers: { authorization: `Bearer ${token}` },
        ...(payload !== undefined && { payload }),
      }),
  };
}
