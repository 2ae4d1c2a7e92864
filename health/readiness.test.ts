import { describe, expect, it } from 'vitest';
import { createReadiness } from './readiness.ts';

const fine = () => Promise.resolve('ok');

describe('readiness', () => {
  it('is ok where all checks are', async () => {
    const ready = createReadiness({ one: fine, two: fine });
    expect(await ready()).toEqual({ ok: true, status: 'ok', checks: { one: 'ok', two: 'ok' } });
  });

  it('is ok with what is worth knowing', async () => {
    const ready = createReadiness({ one: () => Promise.resolve('ok, stopped since noon'), two: fine });
    expect(await ready()).toEqual({
      ok: true,
      status: 'ok',
      checks: { one: 'ok, stopped since noon', two: 'ok' },
    });
    expect((await createReadiness({ one: () => Promise.resolve('okay') })()).ok).toBe(false);
  });

  it('says which check is not, and never with the text of an error', async () => {
    const ready = createReadiness({
      one: fine,
      two: () => Promise.resolve('schema missing'),
      three: () => Promise.reject(new Error('password is SECRET')),
    });
    expect(await ready()).toEqual({
      ok: false,
      status: 'unavailable',
      checks: { one: 'ok', two: 'schema missing', three: 'no answer' },
    });
  });

  it('what is silent counts as no answer after the timeout, and is asked only once meanwhile', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    let asked = 0;
    const silent = async () => {
      asked += 1;
      await promise;
      return 'ok';
    };
    const ready = createReadiness({ silent, fine }, 10);
    const answers = await Promise.all([ready(), ready(), ready()]);
    expect(answers.map(({ checks }) => checks['silent'])).toEqual(['no answer', 'no answer', 'no answer']);
    expect((await ready()).ok).toBe(false);
    expect(asked).toBe(1);
    resolve(undefined);
    await promise;
    expect((await ready()).ok).toBe(true);
    expect((await ready()).ok).toBe(true);
    expect(asked).toBeGreaterThan(1);
  });
});
