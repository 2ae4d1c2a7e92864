import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { NamespaceNotFoundError } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import { IdentityUnavailableError, ZeroKnowledgeError } from '#domain/base/errors.ts';
import { describeError } from './describe-error.ts';
import { createLogger } from './logger.ts';
import { TemporalUnreachableError } from '#temporal/connection.ts';

/** Of somebody else, with a text that may quote anything. */
function coded(code: string): Error {
  return Object.assign(new Error('secret'), { code });
}

/** As the core of Temporal's SDK reports it. */
function ofCore(text: string): Error {
  return Object.assign(new Error(text), { name: 'TransportError' });
}

describe('an error in the log', () => {
  it('keeps type, code and place, and no text of a stranger', () => {
    const error = Object.assign(new Error('Key (title)=(secret)\n    at secret (line 2) already exists'), {
      code: '23505',
      detail: 'secret',
      query: 'secret',
    });
    const described = describeError(error);
    expect(described).toMatchObject({ type: 'Error', code: '23505' });
    expect(described.at?.[0]).toContain('logger.test.ts');
    expect(JSON.stringify(described)).not.toContain('secret');
  });

  it('keeps the text of our own errors, which hold no content', () => {
    expect(describeError(new ZeroKnowledgeError()).message).toContain('zero-knowledge mode is on');
  });

  it('keeps the address that could not be reached, of several the first', async () => {
    const refused = await once(connect(1, '127.0.0.1'), 'connect').catch((error: unknown) => error);
    const expected = { type: 'Error', code: 'ECONNREFUSED', address: '127.0.0.1:1' };
    expect(describeError(refused)).toMatchObject(expected);
    const all = Object.assign(new AggregateError([refused, refused], ''), { code: 'ECONNREFUSED' });
    expect(describeError(all)).toMatchObject({ code: 'ECONNREFUSED', cause: expected });
    const unreachable = new TemporalUnreachableError('temporal.example:7233', { cause: refused });
    expect(describeError(unreachable)).toMatchObject({
      type: 'TemporalUnreachableError',
      message: expect.stringContaining('temporal.example:7233') as string,
      cause: expected,
    });
  });

  it('names a gRPC status', () => {
    const error = Object.assign(new Error('14 UNAVAILABLE: secret'), {
      code: 14,
      details: 'secret',
      metadata: {},
    });
    expect(describeError(error)).toMatchObject({ type: 'Error', code: 'UNAVAILABLE' });
    expect(JSON.stringify(describeError(error))).not.toContain('secret');
  });

  it('names the place of our own errors, too', () => {
    expect(describeError(new ZeroKnowledgeError()).at?.[0]).toContain('logger.test.ts');
  });

  it('keeps the chain of causes, reduced likewise', () => {
    const described = describeError(new IdentityUnavailableError({ cause: new TypeError('secret') }));
    expect(described.cause?.type).toBe('TypeError');
    expect(JSON.stringify(described)).not.toContain('secret');
  });

  it.each<[string, Error, string]>([
    ['a missing namespace, of the client', new NamespaceNotFoundError('secret'), 'missing namespace'],
    [
      'a missing namespace, of the core',
      ofCore('Namespace secret was not found: Status { details: b"…NamespaceNotFoundFailure" }'),
      'missing namespace',
    ],
    [
      'a refused connection, of the core',
      ofCore('tcp connect error", 10.0.0.1:1, Os { code: 111, kind: ConnectionRefused, message: "secret" }'),
      'refused connection',
    ],
    ['a wrong password', coded('28P01'), 'wrong password'],
    ['a missing database', coded('3D000'), 'missing database'],
    ['a taken port', coded('EADDRINUSE'), 'taken port'],
    ['an unknown host', coded('ENOTFOUND'), 'unknown host'],
    ['a missing right', coded('42501'), 'missing right'],
    ['the driver that waited in vain', new Error('Query read timeout'), 'did not answer in time'],
  ])('says in our words what is safe: %s', (_, error, words) => {
    const described = describeError(error);
    expect(described.message).toContain(words);
    expect(JSON.stringify(described)).not.toContain('secret');
  });

  it.each<Error>([coded('22P02'), coded('constructor'), ofCore('secret'), new TypeError('secret')])(
    'says nothing of what is not listed: %o',
    (error) => {
      expect(describeError(error)).not.toHaveProperty('message');
      expect(JSON.stringify(describeError(error))).not.toContain('secret');
    },
  );

  it('says so where a server does it, too', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address() as AddressInfo;
    const second = createServer().listen(address.port, '127.0.0.1');
    const taken = await once(second, 'listening').catch((error: unknown) => error);
    expect(describeError(taken)).toMatchObject({
      code: 'EADDRINUSE',
      address: `127.0.0.1:${address.port}`,
      message: 'taken port: another process listens there',
    });
    server.close();
  });

  it('a code that is no name is left out, and so is a thrown text', () => {
    expect(describeError(Object.assign(new Error('x'), { code: 'a secret value' })).code).toBeUndefined();
    const thrown = describeError('secret');
    expect(thrown).toEqual({ type: 'string', at: expect.any(Array) as unknown });
    expect(JSON.stringify(thrown)).not.toContain('secret');
  });

  it('what was thrown and is no error has the place where it is logged', () => {
    const lines: string[] = [];
    const log = createLogger('api', 'info', { write: (line) => void lines.push(line) });
    log.error({ error: 'secret' }, 'something');
    const { error } = JSON.parse(lines[0] ?? '{}') as { error: ReturnType<typeof describeError> };
    expect(error.at?.[0]).toContain('logger.test.ts');
    expect(lines[0]).not.toContain('secret');
  });
});

it('requests and replies are never written as they are', () => {
  const lines: string[] = [];
  const log = createLogger('api', 'info', { write: (line) => void lines.push(line) });
  log.info({ req: { url: 'secret' }, res: { headers: 'secret' }, err: new Error('secret') }, 'something');
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toContain('secret');
});
