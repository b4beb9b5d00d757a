/**
 * Waiting.
 *
 * Ours, though `@std/async` has the like: the package depends on nothing, so that it runs from a checkout on every
 * runtime.
 *
 * @module
 */

/** Resolves after `ms` milliseconds; rejects with the signal's reason when it aborts before. */
export function delay(ms: number, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
  const { signal } = options;
  if (signal?.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
