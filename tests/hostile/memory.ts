/** How much memory buffers take, as far as our own code makes them. */

/** Counts until it ends. */
export interface BufferCount {
  /** Ends the count; returns the bytes of all buffers that were made. */
  end(): number;
}

const real = globalThis.Uint8Array;
let taken = 0;

const counting = new Proxy(real, {
  construct(target, args, of) {
    if (typeof args[0] === "number") taken += args[0];
    return Reflect.construct(target, args, of);
  },
});

/** Begins to count the bytes of buffers. Only one count at a time. */
export function countBuffers(): BufferCount {
  taken = 0;
  Object.assign(globalThis, { Uint8Array: counting });
  return {
    end: () => {
      Object.assign(globalThis, { Uint8Array: real });
      return taken;
    },
  };
}
