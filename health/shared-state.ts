/** What the main thread tells the liveness thread without ever waiting for it: a beat, and what is under way. */
const LABEL_BYTES = 512;
const BEATS = 0;
const LABEL_LENGTH = 1;
const HEADER_BYTES = 8;

export const createSharedState = (): SharedArrayBuffer => new SharedArrayBuffer(HEADER_BYTES + LABEL_BYTES);

const numbersOf = (state: SharedArrayBuffer): Int32Array => new Int32Array(state, 0, 2);
const labelOf = (state: SharedArrayBuffer): Uint8Array => new Uint8Array(state, HEADER_BYTES, LABEL_BYTES);

/** The event loop has turned. */
export const beat = (state: SharedArrayBuffer): number => Atomics.add(numbersOf(state), BEATS, 1);

export const readBeats = (state: SharedArrayBuffer): number => Atomics.load(numbersOf(state), BEATS);

/** @param label our own names only; cut to `LABEL_BYTES` */
export function writeLabel(state: SharedArrayBuffer, label: string): void {
  const bytes = Buffer.from(label).subarray(0, LABEL_BYTES);
  labelOf(state).set(bytes);
  Atomics.store(numbersOf(state), LABEL_LENGTH, bytes.length);
}

/** May be torn where it is being written at this moment; it is for a log line. */
export const readLabel = (state: SharedArrayBuffer): string =>
  Buffer.from(labelOf(state).slice(0, Atomics.load(numbersOf(state), LABEL_LENGTH))).toString();
