import { describe, expect, it } from 'vitest';
import { watchCodecKeys } from './codec-key-watch.ts';
import { registry } from '#metrics/registry.ts';
import {
  PayloadUnreadableError,
  PlaintextPayloadError,
  UnknownCodecKeyError,
} from '#temporal/payload-codec.ts';

const MINUTE_MS = 60_000;

describe('a payload that is under no key of the process', () => {
  it.each([
    [new UnknownCodecKeyError('gone'), /"gone", which TEMPORAL_CODEC_KEYS does not hold/],
    [new PayloadUnreadableError('other'), /"other" does not open/],
  ])('shows longer than a stuck run waits for its next try, and no longer: %s', async (error, text) => {
    let nowMs = 0;
    const watch = watchCodecKeys(() => nowMs);
    expect(await watch.check()).toBe('ok');
    watch.onUndecodable(error);
    expect(await watch.check()).toMatch(text);
    nowMs = 10 * MINUTE_MS + 10_000;
    expect(await watch.check()).toMatch(text);
    nowMs = 16 * MINUTE_MS;
    expect(await watch.check()).toBe('ok');
  });

  it('is counted by reason; plaintext is no matter of keys', async () => {
    const watch = watchCodecKeys();
    const counted = async (reason: string): Promise<number> => {
      const line = `mana_codec_undecodable_payloads_total{process="worker",reason="${reason}"} `;
      const found = (await registry.metrics()).split('\n').find((each) => each.startsWith(line));
      return Number(found?.slice(line.length));
    };
    const before = [await counted('plaintext'), await counted('unknown-key')];
    watch.onUndecodable(new PlaintextPayloadError());
    expect(await watch.check()).toBe('ok');
    watch.onUndecodable(new UnknownCodecKeyError('gone'));
    const after = [await counted('plaintext'), await counted('unknown-key')];
    expect(after).toEqual(before.map((count) => count + 1));
  });

  it('names its key only where that may be one: whoever wrote it chose the id', async () => {
    const watch = watchCodecKeys();
    for (const id of ['', 'a'.repeat(65), 'a\nb', '<script>', 'ü']) {
      watch.onUndecodable(new UnknownCodecKeyError(id));
      expect(await watch.check()).toBe(
        'payload codec: found a payload under a key id of another form, which TEMPORAL_CODEC_KEYS does not hold',
      );
    }
  });
});
