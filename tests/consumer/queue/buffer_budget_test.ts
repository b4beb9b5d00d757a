import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { type BudgetAccount, BufferBudget } from "../../../src/consumer/queue/buffer_budget.ts";
import { SeededRandom } from "../../wire/seeded_random.ts";

const noBytes = { bytes: Infinity, batchBytes: Infinity };

Deno.test("BufferBudget gives whole requests while there is enough for everybody", () => {
  const budget = new BufferBudget({ messages: 1_000, batch: 32, ...noBytes });
  const accounts = Array.from({ length: 8 }, () => budget.open(() => {}));
  assertEquals(accounts.map((account) => account.ask(32)), Array(8).fill(32));
  assertEquals([budget.isScarce, budget.own], [false, 32]);
});

Deno.test("BufferBudget never gives more than its total, whatever is asked and settled", () => {
  const random = new SeededRandom(7);
  for (const [messages, askers] of [[64, 200], [100, 3], [1, 5], [1_000, 40], [50, 50]] as const) {
    const budget = new BufferBudget({ messages, batch: 32, ...noBytes });
    const asked = new Map<BudgetAccount, number[]>();
    const total = () => [...asked.keys()].reduce((sum, { used }) => sum + used, 0);
    const ask = (account: BudgetAccount) => {
      const count = account.ask(1 + random.below(32));
      if (count > 0) asked.get(account)!.push(count);
    };
    for (let i = 0; i < askers; i++) {
      const account: BudgetAccount = budget.open(() => ask(account));
      asked.set(account, []);
    }
    for (let step = 0; step < 20_000; step++) {
      const account = [...asked.keys()][random.below(askers)]!;
      const requests = asked.get(account)!;
      if (random.below(2) === 0) ask(account);
      else if (requests.length > 0) {
        const count = requests.shift()!;
        account.answered(count);
        account.hold(account.held + random.below(count + 1), 0);
      } else account.hold(random.below(account.held + 1), 0);
      assertLessOrEqual(total(), messages);
    }
  }
});

Deno.test("BufferBudget keeps room for those who hold nothing, whatever others hold and never settle", () => {
  using time = new FakeTime();
  const budget = new BufferBudget({ messages: 100, batch: 32, ...noBytes });
  let given = 0;
  const greedy = budget.open(() => {});
  const modest: BudgetAccount = budget.open(() => given += modest.ask(32));
  for (let count = greedy.ask(1); count > 0; count = greedy.ask(1)) {
    greedy.answered(count);
    greedy.hold(greedy.held + count, 0);
  }
  assertEquals(greedy.used, 75); // all but what is kept for the other
  assertEquals([modest.ask(32), given], [0, 0]); // somebody may settle enough for a whole request at once
  time.tick(100);
  assertEquals(given, 25);
});

Deno.test("BufferBudget leaves room for askers that are still to come", () => {
  const budget = new BufferBudget({ messages: 100, batch: 32, ...noBytes });
  budget.expect(10);
  const first = budget.open(() => {});
  assertEquals([budget.own, budget.isScarce, first.ask(5), first.ask(5)], [5, true, 5, 5]);
});

Deno.test("BufferBudget serves those who wait in their order, and not who asks again and again", () => {
  const budget = new BufferBudget({ messages: 2, batch: 32, ...noBytes });
  const served: number[] = [];
  const accounts = Array.from({ length: 5 }, (_, i): BudgetAccount =>
    budget.open(() => {
      if (accounts[i]!.ask(1) === 1) served.push(i);
    }));
  assertEquals([0, 1, 2, 3, 4].map((i) => accounts[i]!.ask(1)), [1, 1, 0, 0, 0]);
  for (const next of [0, 1, 2, 3]) {
    accounts[next]!.answered(1);
    accounts[next]!.hold(1, 0);
    assertEquals(accounts[next]!.ask(1), 0);
    accounts[next]!.hold(0, 0);
  }
  assertEquals(served, [2, 3, 4, 0]);
});

Deno.test("BufferBudget lets nobody ask while bytes are held, but for who holds nothing", () => {
  using _time = new FakeTime();
  const limits = { messages: 10_000, batch: 32, bytes: 1_048_576, batchBytes: 262_144 };
  const budget = new BufferBudget(limits);
  const accounts = Array.from({ length: 16 }, () => budget.open(() => {}));
  let asked = 0;
  for (const account of accounts.slice(0, 15)) {
    const count = account.ask(32);
    asked += count;
    account.answered(count);
    account.hold(count, count * 8_192);
  }
  const bytes = () => accounts.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
  assertLessOrEqual(bytes(), limits.bytes + limits.batchBytes);
  assert(bytes() >= limits.bytes / 2, `${asked} in ${bytes()} bytes`);
  assertEquals(
    accounts.filter(({ used }) => used > 0).map((account) => account.ask(32)).filter((count) => count > 0),
    [],
  );
});

Deno.test("BufferBudget keeps to its bytes with messages of any size, once one answer has come", () => {
  const random = new SeededRandom(11);
  for (const size of [100, 4_200, 60_000]) {
    using time = new FakeTime();
    const limits = { messages: 10_000, batch: 32, bytes: 1_048_576, batchBytes: 65_536 };
    const budget = new BufferBudget(limits);
    const most = Math.floor(262_144 / size); // no broker looks at what one answer is to bring
    const asked = new Map<BudgetAccount, number>();
    const ask = (account: BudgetAccount) => {
      if (account.asked === 0) asked.set(account, account.ask(32));
    };
    const accounts = Array.from({ length: 3 }, (): BudgetAccount => {
      const account: BudgetAccount = budget.open(() => ask(account));
      return account;
    });
    for (let step = 0; step < 5_000; step++) {
      const account = accounts[random.below(accounts.length)]!;
      const count = asked.get(account) ?? 0;
      if (count > 0 && random.below(2) === 0) {
        asked.set(account, 0);
        account.answered(count);
        const held = account.held + Math.min(count, most);
        account.hold(held, held * size);
      } else if (random.below(3) > 0) ask(account);
      else if (account.held > 0) account.hold(account.held - 1, (account.held - 1) * size);
      if (random.below(10) === 0) time.tick(30);
      const held = accounts.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
      assertLessOrEqual(held, limits.bytes + accounts.length * size); // one message each for those who held nothing
    }
  }
});

Deno.test("BufferBudget lets who holds nothing ask for a message, whatever idle requests may bring", () => {
  using time = new FakeTime();
  const budget = new BufferBudget({ messages: 1_000, batch: 32, bytes: 65_536, batchBytes: 65_536 });
  let given = 0;
  const [idle, busy] = [budget.open(() => {}), budget.open((): void => void (given = busy.ask(32)))];
  const first = busy.ask(32);
  busy.answered(first);
  busy.hold(1, 60_000); // messages are large
  busy.hold(0, 0);
  assertEquals(idle.ask(32, true) > 0, true); // held by its broker, for as long as nothing arrives
  given = busy.ask(32);
  for (let ms = 0; ms < 100 && given === 0; ms++) time.tick(1);
  assertEquals(given > 0, true);
});

Deno.test("BufferBudget wakes who waits when another leaves, and forgets an account once its answer is here", () => {
  const budget = new BufferBudget({ messages: 1, batch: 32, ...noBytes });
  let woken = 0;
  const first = budget.open(() => {});
  const second: BudgetAccount = budget.open(() => woken += second.ask(1));
  assertEquals([first.ask(1), second.ask(1)], [1, 0]);
  first.close();
  assertEquals([budget.askers, woken], [2, 0]);
  first.answered(1);
  assertEquals([budget.askers, woken, first.ask(1)], [1, 1, 0]);
});
