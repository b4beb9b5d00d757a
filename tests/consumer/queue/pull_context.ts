import type { PullLoopContext } from "../../../src/consumer/queue/pull_loop.ts";
import type { ProcessQueue } from "../../../src/consumer/queue/process_queue.ts";

/** What a pull loop works with that nothing holds back, over a broker that never answers: but for what a test sets. */
export function pullContext(process: ProcessQueue, some: Partial<PullLoopContext> = {}): PullLoopContext {
  return {
    process,
    interval: 0,
    timeout: 30_000,
    asked: 0,
    pull: () => new Promise<never>(() => {}),
    mayPull: () => true,
    mayPrefetch: () => false,
    answered: () => {},
    onMessages: () => {},
    onBroken: () => {},
    onMoved: () => 0,
    onError: () => undefined,
    onStandstill: () => {},
    ...some,
  };
}
