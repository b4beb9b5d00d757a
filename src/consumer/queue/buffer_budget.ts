/**
 * How much a consumer may hold in all: one budget for every queue, topic and broker that it asks.
 *
 * @module
 */

import { BudgetBytes } from "./budget_bytes.ts";

/** What a {@linkcode BufferBudget} may give. */
export interface BudgetLimits {
  /** The most messages that are asked for or held. */
  readonly messages: number;
  /** How many bytes may be held before nobody asks for more; Infinity if they are not counted. */
  readonly bytes: number;
  /** The most messages that one request asks for. */
  readonly batch: number;
  /** The most bytes that one answer is to bring, where a broker keeps to it. */
  readonly batchBytes: number;
}

/** How long who holds nothing waits for a whole request before it takes what is kept for it, in milliseconds. */
const PATIENCE = 20;

/**
 * Room for messages, taken before they are asked for and given back when they are settled.
 *
 * Half of it is divided evenly: that much is kept for each asker, whatever others hold, so that none can starve it. The
 * rest goes to whoever asks first. Who finds too little waits in a line, and is woken in its turn; if that does not
 * come soon, it makes do with what is kept for it.
 */
export class BufferBudget {
  #limits: BudgetLimits;
  #askers: BudgetAccount[] = [];
  /** How many askers there are to be: what the first of them ask for has to leave room for the last. */
  #expected = 1;
  /** What is kept for each asker. */
  #own = 0;
  /** What an asker should get at least, if it asks for more than it: smaller answers are not worth their requests. */
  #least = 0;
  /** What askers hold or have asked for beyond their own. */
  #common = 0;
  #bytes: BudgetBytes;
  #line = new WaitingLine<BudgetAccount>();
  /** Whose turn it is of those who were in line. */
  #inTurn: BudgetAccount | undefined;
  /** Who has waited for long enough. */
  #impatient: BudgetAccount | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Makes a budget of which nothing is taken. */
  constructor(limits: BudgetLimits) {
    this.#limits = limits;
    this.#bytes = new BudgetBytes(limits.bytes, limits.batchBytes);
    this.#divide();
  }

  /** How many messages are kept for each asker: 0 with more than two askers for each message of the total. */
  get own(): number {
    return this.#own;
  }

  /** How many ask. */
  get askers(): number {
    return this.#askers.length;
  }

  /** Whether not everybody can have a whole request held open. */
  get isScarce(): boolean {
    return this.#own < this.#limits.batch;
  }

  /** Divides between so many askers, also before they are all here. */
  expect(askers: number): void {
    this.#expected = askers;
    this.#divide();
  }

  /** Takes an asker in; `wake` is called in its turn when it has found no room before. */
  open(wake: () => void): BudgetAccount {
    const account = new BudgetAccount(this, wake);
    account.place = this.#askers.push(account) - 1;
    this.#divide();
    return account;
  }

  /**
   * Takes room for a request of at most `want` messages; 0 if there is too little, and the asker waits in line.
   *
   * @param isIdle whether the request is held by its broker until a message arrives: it is expected to bring one
   */
  take(account: BudgetAccount, want: number, isIdle: boolean): number {
    const count = this.#roomOf(account, want);
    if (count === 0) {
      account.want = want;
      this.#line.add(account);
      if (account.used === 0 && this.#own > 0) this.#timer ??= setTimeout(() => this.#relieve(), PATIENCE);
      return 0;
    }
    if (account === this.#line.first) this.#line.shift();
    this.#change(account, count);
    account.asked += count;
    account.expected += isIdle ? 1 : count;
    this.#expect(account);
    return count;
  }

  /** Ends a request of `count` messages: what it brought is passed to {@linkcode BudgetAccount.hold}, at once. */
  end(account: BudgetAccount, count: number): void {
    this.#change(account, -count);
    account.asked -= count;
    account.expected = Math.min(account.expected, account.asked);
    this.#expect(account);
    if (this.#line.first !== undefined) queueMicrotask(() => this.#serve());
  }

  /** Notes what an asker holds. */
  hold(account: BudgetAccount, count: number, bytes: number): void {
    const [more, moreBytes] = [count - account.held, bytes - account.heldBytes];
    this.#bytes.hold(more, moreBytes);
    this.#change(account, more);
    account.held = count;
    account.heldBytes = bytes;
    if (this.#line.first !== undefined) this.#serve();
  }

  /** Lets an asker go that holds nothing and has asked for nothing. */
  close(account: BudgetAccount): void {
    const last = this.#askers.pop()!;
    if (last !== account) {
      this.#askers[account.place] = last;
      last.place = account.place;
    }
    account.place = -1;
    this.#divide();
    if (this.#askers.length === 0) clearTimeout(this.#timer);
    if (this.#line.first !== undefined) this.#serve();
  }

  #divide(): void {
    const { messages, batch } = this.#limits;
    const askers = Math.max(1, this.#expected, this.#askers.length);
    this.#least = Math.max(1, Math.min(batch, Math.floor(messages / askers)));
    const own = Math.min(batch, Math.floor(messages / 2 / askers));
    if (own === this.#own) return;
    this.#own = own;
    this.#common = 0;
    for (const { used } of this.#askers) this.#common += Math.max(0, used - own);
  }

  /** What is common beside what is kept for each. */
  #commonSize(): number {
    return this.#limits.messages - this.#own * this.#askers.length;
  }

  /** How many messages an asker may ask for now, at most `want`; 0 if it has to wait. */
  #roomOf(account: BudgetAccount, want: number): number {
    const own = Math.max(0, this.#own - account.used);
    const isInTurn = (this.#line.first ?? account) === account || this.#inTurn === account;
    const common = isInTurn ? Math.max(0, this.#commonSize() - this.#common) : 0;
    const count = this.#bytes.fitting(Math.min(want, own + common), this.#askers.length);
    if (count >= Math.min(want, this.#least)) return count;
    if (account !== this.#impatient || account.used > 0) return 0;
    return Math.max(count, this.#bytes.keptFor(Math.min(want, own)));
  }

  #change(account: BudgetAccount, count: number): void {
    const before = Math.max(0, account.used - this.#own);
    account.used += count;
    this.#common += Math.max(0, account.used - this.#own) - before;
  }

  #expect(account: BudgetAccount): void {
    account.askedBytes = this.#bytes.expect(account.expected, account.askedBytes);
  }

  /** Wakes those in line who hold nothing, for what is kept for them. */
  #relieve(): void {
    this.#timer = undefined;
    for (let each = this.#line.first, next = each?.next; each !== undefined; each = next, next = each?.next) {
      this.#impatient = each;
      if (each.used === 0 && each.place >= 0) each.wake();
    }
    this.#impatient = undefined;
  }

  /** Wakes those in line for whom there is room; who does not take it any more leaves the line. */
  #serve(): void {
    if (this.#inTurn !== undefined) return;
    for (let first = this.#line.first; first !== undefined; first = this.#line.first) {
      if (first.place >= 0 && this.#roomOf(first, first.want) === 0) break;
      this.#line.shift();
      this.#inTurn = first;
      if (first.place >= 0) first.wake();
      this.#inTurn = undefined;
    }
  }
}

/** Something that waits in a line. */
interface Waiting<W> {
  isInLine: boolean;
  next: W | undefined;
}

/** A line in which each stands once. */
class WaitingLine<W extends Waiting<W>> {
  #first: W | undefined;
  #last: W | undefined;

  get first(): W | undefined {
    return this.#first;
  }

  /** Takes the last place, unless it stands in the line already. */
  add(waiting: W): void {
    if (waiting.isInLine) return;
    waiting.isInLine = true;
    if (this.#last === undefined) this.#first = waiting;
    else this.#last.next = waiting;
    this.#last = waiting;
  }

  /** Takes the first out. */
  shift(): void {
    const first = this.#first!;
    this.#first = first.next;
    if (this.#first === undefined) this.#last = undefined;
    first.next = undefined;
    first.isInLine = false;
  }
}

/** What one asker has of a {@linkcode BufferBudget}: a queue that is pulled, or a place that is popped. */
export class BudgetAccount {
  #budget: BufferBudget;
  #isClosing = false;
  /** Called in its turn after it has found no room. */
  readonly wake: () => void;
  /** Kept by the budget: where it stands among the askers; −1 when it is closed. */
  place = -1;
  /** Kept by the budget: whether it waits, for how many messages, and who comes after it. */
  isInLine = false;
  want = 0;
  next: BudgetAccount | undefined;
  /** Messages that it holds or has asked for, and both for themselves. */
  used = 0;
  held = 0;
  asked = 0;
  /** How many of the messages that it has asked for are expected to come soon. */
  expected = 0;
  /** The bytes of what it holds, and those that what it has asked for may have. */
  heldBytes = 0;
  askedBytes = 0;

  /** Made by {@linkcode BufferBudget.open}. */
  constructor(budget: BufferBudget, wake: () => void) {
    this.#budget = budget;
    this.wake = wake;
  }

  /**
   * Takes room for a request of at most `want` messages: how many it may ask for, 0 if it has to wait to be woken.
   *
   * @param isIdle whether the request is held by its broker until a message arrives: it is expected to bring one
   */
  ask(want: number, isIdle = false): number {
    return this.#isClosing ? 0 : this.#budget.take(this, want, isIdle);
  }

  /** A request is over for which there was room for `count` messages: what came is passed next, to `hold`. */
  answered(count: number): void {
    if (count > 0) this.#budget.end(this, count);
    this.#closeIfEmpty();
  }

  /** Reports what is held: messages that are received and not settled. */
  hold(count: number, bytes: number): void {
    if (count === this.held && bytes === this.heldBytes) return;
    this.#budget.hold(this, count, bytes);
    this.#closeIfEmpty();
  }

  /** It asks for nothing more, and is forgotten as soon as nothing is asked for or held. */
  close(): void {
    this.#isClosing = true;
    this.#closeIfEmpty();
  }

  #closeIfEmpty(): void {
    if (this.#isClosing && this.used === 0 && this.place >= 0) this.#budget.close(this);
  }
}
