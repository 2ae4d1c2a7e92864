import { ApplicationFailure, defaultPayloadConverter } from '@temporalio/common';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { expect, it } from 'vitest';
import { createDataConverter } from './data-converter.ts';
import { failureConverter } from './failure-converter.ts';

const marker = 'canary-6f2a';

it('message and stack of a failure and of its causes are moved into a payload, the type stays readable', () => {
  const cause = new Error(`cause ${marker}`);
  const failure = failureConverter.errorToFailure(
    ApplicationFailure.create({ message: `outer ${marker}`, type: 'GATEWAY_UNAVAILABLE', cause }),
    defaultPayloadConverter,
  );
  const clear = JSON.stringify(failure, (name: string, value: unknown) =>
    name === 'encodedAttributes' ? undefined : value,
  );
  expect(clear).not.toContain(marker);
  expect(failure.applicationFailureInfo?.type).toBe('GATEWAY_UNAVAILABLE');
  const restored = failureConverter.failureToError(failure, defaultPayloadConverter);
  expect(restored.message).toBe(`outer ${marker}`);
  expect(restored.cause).toMatchObject({ message: `cause ${marker}` });
});

it('the SDK loads the converter from the path that the data converter names', () => {
  const keys = new Map([['a', Buffer.alloc(32, 1)]]);
  const loaded = loadDataConverter(createDataConverter({ primaryKeyId: 'a', keys }));
  expect(loaded.failureConverter).toMatchObject({ options: { encodeCommonAttributes: true } });
  expect(loaded.payloadCodecs).toHaveLength(1);
});
