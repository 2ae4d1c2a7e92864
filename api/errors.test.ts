import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '#domain/base/errors.ts';
import { HTTP_ERRORS } from './errors.ts';

describe('error codes as HTTP', () => {
  it.each(ERROR_CODES)('%s has a status and a public code', (code) => {
    const { status, code: publicCode, messageIsPublic } = HTTP_ERRORS[code];
    expect(status).toBeGreaterThanOrEqual(400);
    expect(publicCode).toMatch(/^[A-Z_]+$/);
    // What is our own failure is not explained to callers, unless it is a state of the service they can wait for.
    expect(messageIsPublic).toBe(status !== 500);
  });

  it('the statuses of the contract are kept', () => {
    const contract = {
      BAD_REQUEST: 400,
      UNAUTHORIZED: 401,
      VAULT_NOT_INITIALISED: 404,
      ZK_ACTIVE: 409,
      GRANT_NOT_CONFIGURED: 503,
    } as const;
    for (const code of ERROR_CODES) {
      if (!(code in contract)) continue;
      expect(HTTP_ERRORS[code]).toMatchObject({ code, status: contract[code as keyof typeof contract] });
    }
    expect(HTTP_ERRORS.VAULT_UNREADABLE).toMatchObject({
      status: 500,
      code: 'INTERNAL',
      messageIsPublic: false,
    });
  });
});
