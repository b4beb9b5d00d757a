/**
 * Makes one array of parts that came one after the other.
 *
 * @module
 */

/** The bytes of all parts. A part that is alone, and all of its buffer, is not copied. */
export function join(parts: readonly Uint8Array[]): Uint8Array {
  const steps = joinInSteps(parts, Infinity);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

/** Does the same in steps: each copies `stepSize` bytes, the last one fewer, and yields how many it were. */
export function* joinInSteps(parts: readonly Uint8Array[], stepSize: number): Generator<number, Uint8Array, void> {
  const [only] = parts;
  if (parts.length === 1 && only!.length === only!.buffer.byteLength) return only!;
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  let work = 0;
  for (const part of parts) {
    for (let from = 0; from < part.length;) {
      const size = Math.min(part.length - from, stepSize - work);
      whole.set(part.subarray(from, from + size), at);
      from += size;
      at += size;
      work += size;
      if (work < stepSize) continue;
      yield work;
      work = 0;
    }
  }
  return whole;
}
