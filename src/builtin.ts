/**
 * Modules of the runtime that are loaded at their first use.
 *
 * `node:zlib` and `node:crypto` take 5 MB of memory in Deno, and a fifth of the time in which this package is loaded,
 * while many programs never see a packed body. An `import()` would do where one can wait; who reads a body cannot.
 *
 * @module
 */

interface Builtins {
  readonly "node:crypto": typeof import("node:crypto");
  readonly "node:zlib": typeof import("node:zlib");
}

interface Runtime {
  readonly process: { getBuiltinModule<N extends keyof Builtins>(name: N): Builtins[N] };
}

const loaded: { [N in keyof Builtins]?: Builtins[N] } = {};

/** A module of the runtime: of Deno, of Bun, and of Node from 20.16 on. */
export function builtin<N extends keyof Builtins>(name: N): Builtins[N] {
  return loaded[name] ??= (globalThis as unknown as Runtime).process.getBuiltinModule(name);
}
