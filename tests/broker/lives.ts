/**
 * What became of the messages of a consumer that is killed again and again, from the log that its lives have written.
 *
 * @module
 */

/** A line of the log: a message that was delivered, or one that was done. */
export interface Line {
  readonly done: boolean;
  readonly queueId: number;
  readonly offset: number;
  readonly at: number;
}

/** What came again in a life, by what it had been when its last owner was killed. */
export interface Again {
  /** Handed out, and not done. */
  readonly inFlight: number;
  /** Done in the last moment before the kill. */
  readonly recent: number;
  /** Done before, behind a message of the queue that was not. */
  readonly behind: number;
  /** Done before, with all in front of it: how long before the kill, in milliseconds. */
  readonly older: readonly number[];
}

/** Reads the lines of a log; a last one that was cut off counts as not written. */
export function parseLines(text: string): Line[] {
  return text.slice(0, text.lastIndexOf("\n") + 1).split("\n").slice(0, -1).map((line) => {
    const [sign, queueId, offset, at] = line.split(" ");
    return { done: sign === "-", queueId: Number(queueId), offset: Number(offset), at: Number(at) };
  });
}

/** How long before the kill of its last life a message was done, in milliseconds; undefined if it was not. */
type Fate = number | undefined;

export class Lives {
  /** How many messages were delivered, and how often. */
  deliveries = 0;
  readonly #recent: number;
  /** By queue and offset, what became of each message when it was last delivered. */
  readonly #queues = new Map<number, Map<number, { readonly fate: Fate; readonly behind: boolean }>>();

  /** How long before a kill is the last moment, in milliseconds. */
  constructor(recent: number) {
    this.#recent = recent;
  }

  get distinct(): number {
    return this.#queues.values().reduce((sum, queue) => sum + queue.size, 0);
  }

  /** How many messages were delivered, those of a life that goes on included. */
  distinctWith(lines: readonly Line[]): number {
    const others = lines.filter(({ queueId, offset }) => !this.#queues.get(queueId)?.has(offset));
    return this.distinct + new Set(others.map(({ queueId, offset }) => `${queueId} ${offset}`)).size;
  }

  /** Adds what a life has written until it was killed. */
  add(lines: readonly Line[], killedAt: number): Again {
    const again = { inFlight: 0, recent: 0, behind: 0, older: new Array<number>() };
    const life = new Map<number, Map<number, Fate>>();
    for (const { done, queueId, offset, at } of lines) {
      let queue = life.get(queueId);
      if (queue === undefined) life.set(queueId, queue = new Map());
      queue.set(offset, done ? killedAt - at : undefined);
      if (done) continue;
      this.deliveries++;
      const before = this.#queues.get(queueId)?.get(offset);
      if (before === undefined) continue;
      if (before.fate === undefined) again.inFlight++;
      else if (before.fate <= this.#recent) again.recent++;
      else if (before.behind) again.behind++;
      else again.older.push(before.fate);
    }
    for (const [queueId, fates] of life) this.#take(queueId, fates);
    return again;
  }

  #take(queueId: number, fates: ReadonlyMap<number, Fate>): void {
    let queue = this.#queues.get(queueId);
    if (queue === undefined) this.#queues.set(queueId, queue = new Map());
    let behind = false;
    for (const [offset, fate] of [...fates].sort(([a], [b]) => a - b)) {
      queue.set(offset, { fate, behind });
      behind ||= fate === undefined || fate <= this.#recent;
    }
  }
}
