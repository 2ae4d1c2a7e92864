import { defaultPayloadConverter } from '@temporalio/common';
import { expect, it } from 'vitest';
import { placeInHeaders } from './trace-header.ts';
import { TRACE_HEADER } from '#domain/run/trace.ts';

const text = (value: string): Uint8Array => Buffer.from(value, 'utf8');
const place = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) };
const headers = (payload: object) => ({ [TRACE_HEADER]: payload });

it('a place in the headers of a run or attempt is found', () => {
  expect(placeInHeaders(headers(defaultPayloadConverter.toPayload(place)))).toEqual(place);
  expect(placeInHeaders({})).toBeNull();
});

it.each([
  ['nothing', {}],
  ['no JSON', { metadata: { encoding: text('json/plain') }, data: text('{') }],
  ['of an encoding that nobody knows', { metadata: { encoding: text('x/y') }, data: text('{}') }],
  ['encrypted', { metadata: { encoding: text('binary/encrypted') }, data: text('{}') }],
  ['no place', { metadata: { encoding: text('json/plain') }, data: text('{"traceId":1}') }],
])('a header that is %s is none: it stops neither', (_, payload) => {
  expect(placeInHeaders(headers(payload))).toBeNull();
});
