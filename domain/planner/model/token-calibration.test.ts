import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTokenCalibration } from './token-calibration.ts';

describe('estimates', () => {
  it('come to what a model reports, and only of that model', () => {
    const calibration = createTokenCalibration();
    for (let call = 0; call < 30; call += 1) calibration.observe('a', 1_000, 1_300);
    expect(calibration.factor('a')).toBeCloseTo(1.3, 2);
    expect(calibration.factor('b')).toBe(1);
  });

  it('are moved a little by one figure alone', () => {
    const calibration = createTokenCalibration();
    calibration.observe('a', 1_000, 1_500);
    expect(calibration.factor('a')).toBeCloseTo(1.1);
  });

  it('are not moved by calls of which the gateway says nothing, nor by tiny ones', () => {
    const calibration = createTokenCalibration();
    calibration.observe('a', 1_000, 0);
    calibration.observe('a', 50, 500);
    expect(calibration.factor('a')).toBe(1);
  });

  it('stay within their bounds whatever is reported', () =>
    fc.assert(
      fc.property(fc.array(fc.maxSafeInteger()), (figures) => {
        const calibration = createTokenCalibration();
        for (const figure of figures) calibration.observe('a', 1_000, figure);
        expect(calibration.factor('a')).toBeGreaterThanOrEqual(0.85);
        expect(calibration.factor('a')).toBeLessThanOrEqual(1.6);
      }),
    ));
});
