/** Many messages, and members that come and go: none is lost, none comes twice without need. */

import { assert, assertEquals } from "@std/assert";
import type { Client, Consumer } from "../../../mod.ts";
import { duplicatesIn, type Scenario, type Scene, texts, waitUntil } from "../harness.ts";

/** A member of a group, and its loop. */
interface Member {
  readonly mq: Client;
  readonly consumer: Consumer;
  readonly loop: Promise<void>;
  cut(): void;
}

/** Members of one group that all write down what they see. */
class Crew {
  readonly seen: string[] = [];
  readonly distinct = new Set<string>();
  readonly members: Member[] = [];
  #scene: Scene;
  #topic: string;
  #group: string;

  constructor(scene: Scene, topic: string, group: string) {
    this.#scene = scene;
    this.#topic = topic;
    this.#group = group;
  }

  async join(): Promise<void> {
    const { mq, transport } = await this.#scene.client();
    const options = { group: this.#group, topics: this.#topic, consumeFrom: "first", persistInterval: 500 } as const;
    const consumer = await mq.consumer(options);
    this.members.push({
      mq,
      consumer,
      loop: this.#scene.background(() => this.#loop(consumer)),
      cut: () => transport.cut(),
    });
  }

  /** The member that came first leaves in order. */
  async leave(): Promise<void> {
    const { mq, loop } = this.members.shift()!;
    await mq.close();
    await loop;
  }

  /** The member that came first is gone without a word; its loop may wait for ever, until its client is closed. */
  crash(): void {
    this.members.shift()!.cut();
  }

  /** Waits until every queue has one owner. */
  async settled(queues: number): Promise<void> {
    const owned = () =>
      this.members.map(({ consumer }) => consumer.assignment().filter(({ topic }) => topic === this.#topic).length);
    const share = Math.floor(queues / this.members.length);
    await waitUntil(() => owned().every((count) => count >= share) && sum(owned()) === queues, {
      what: () => `${queues} queues shared by ${this.members.length}; they have ${owned()}`,
    });
  }

  async #loop(consumer: Consumer): Promise<void> {
    for await (const batch of consumer) {
      for (const message of batch) {
        const text = message.text();
        this.seen.push(text);
        this.distinct.add(text);
      }
    }
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Waits until what is committed for a topic is all that there is. */
async function untilCommitted(t: Scene, group: string, topic: string, queues: number): Promise<void> {
  for (let queueId = 0; queueId < queues; queueId++) {
    const max = await t.broker.maxOffset({ topic, queueId });
    await waitUntil(async () => await t.broker.committed(group, { topic, queueId }) === max, {
      what: `${max} is committed for queue ${queueId}`,
    });
  }
}

export const scenarios: Scenario[] = [
  {
    name: "100 000 messages to three members that join and leave while they consume: each comes once",
    alone: true,
    timeout: 120_000,
    async run(t: Scene) {
      const [queues, total] = [8, 100_000];
      const topic = await t.topic(queues);
      const group = t.group();
      const crew = new Crew(t, topic, group);
      const started = performance.now();
      const join = () => crew.join();
      const leave = () => crew.leave();
      const changes = [join, join, join, leave, leave];
      for (const [phase, change] of changes.entries()) {
        // The messages of a phase arrive while its change is under way.
        const each = total / changes.length;
        await Promise.all([change(), t.broker.publish(topic, texts(each, "m", phase * each))]);
        await crew.settled(queues);
        const wanted = (phase + 1) * each;
        await waitUntil(() => crew.distinct.size >= wanted - each / 2, {
          what: () => `half of phase ${phase}; ${crew.distinct.size} of ${wanted} messages came`,
        });
      }
      await waitUntil(() => crew.distinct.size === total, {
        what: () => `${total} messages, got ${crew.distinct.size}`,
        timeout: 30_000,
      });
      const took = performance.now() - started;
      await untilCommitted(t, group, topic, queues);
      const duplicates = duplicatesIn(crew.seen);
      t.print(`${total} messages, 5 changes of members in ${Math.round(took)} ms, ${duplicates} came twice`);
      assertEquals(duplicates, 0);
      while (crew.members.length > 0) await crew.leave();
    },
  },
  {
    name: "20 000 messages to members that crash while they consume: all come, some perhaps twice",
    alone: true,
    timeout: 120_000,
    async run(t: Scene) {
      const [queues, total] = [8, 20_000];
      const topic = await t.topic(queues);
      const group = t.group();
      const crew = new Crew(t, topic, group);
      for (let phase = 0; phase < 4; phase++) {
        await crew.join();
        if (phase > 0) await crew.join();
        await crew.settled(queues);
        const before = crew.distinct.size;
        const publishing = t.broker.publish(topic, texts(total / 4, "m", (phase * total) / 4));
        await waitUntil(() => crew.distinct.size > before + 200, { what: "some messages" });
        if (crew.members.length > 1) crew.crash();
        await publishing;
      }
      await waitUntil(() => crew.distinct.size === total, {
        what: () => `${total} messages, got ${crew.distinct.size}`,
        timeout: 30_000,
      });
      await untilCommitted(t, group, topic, queues);
      t.print(`${total} messages, 3 crashes of members, ${duplicatesIn(crew.seen)} came twice`);
    },
  },
  {
    name: "50 clean restarts of the only consumer under load: no message is lost, none comes twice",
    alone: true,
    timeout: 120_000,
    async run(t: Scene) {
      const queues = 4;
      const topic = await t.topic(queues);
      const group = t.group();
      const mq = await t.connect();
      const options = { group, topics: topic, consumeFrom: "first", batchSize: 16, persistInterval: 60_000 } as const;
      const seen: string[] = [];
      let [sent, enough] = [0, false];
      const sending = t.background(async () => {
        while (!enough) {
          await t.broker.publish(topic, texts(40, "m", sent));
          sent += 40;
        }
      });
      const started = performance.now();
      for (let restart = 0; restart < 50; restart++) {
        // Every fifth time the whole client is new, as after a restart of the process.
        const own = restart % 5 === 0 ? await t.connect() : undefined;
        const consumer = await (own ?? mq).consumer(options);
        const enoughNow = seen.length + 40 + (restart * 37) % 100;
        for await (const batch of consumer) {
          for (const message of batch) seen.push(message.text());
          if (seen.length < enoughNow) continue;
          if (restart % 2 === 0) {
            await batch.ack();
            break;
          }
          consumer.close(); // ends the loop at its next ask, which acknowledges the batch
        }
        await (own ?? consumer).close();
      }
      enough = true;
      await sending;
      const took = performance.now() - started;
      const last = await mq.consumer(options);
      for await (const batch of last) {
        for (const message of batch) seen.push(message.text());
        if (new Set(seen).size < sent) continue;
        await batch.ack();
        break;
      }
      await last.close();
      t.print(`50 restarts in ${Math.round(took)} ms, ${sent} messages, ${duplicatesIn(seen)} came twice`);
      assertEquals(new Set(seen).size, sent);
      assertEquals(duplicatesIn(seen), 0);
      assert(sent > 1_000);
      await untilCommitted(t, group, topic, queues);
    },
  },
];
