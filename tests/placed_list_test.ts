import { assertEquals } from "@std/assert";
import { type Placed, PlacedList } from "../src/placed_list.ts";

interface Member extends Placed {
  readonly name: string;
}

function member(name: string): Member {
  return { name, place: -1 };
}

function namesIn(list: PlacedList<Member>): string[] {
  return [...list].map(({ name }) => name).sort();
}

Deno.test("PlacedList holds what was added and not removed, whatever leaves first", () => {
  const list = new PlacedList<Member>();
  const members = [..."abcdef"].map(member);
  for (const each of members) list.add(each);
  assertEquals([2, 5, 0].map((at) => list.delete(members[at]!)), [true, true, true]);
  assertEquals([namesIn(list), list.size], [["b", "d", "e"], 3]);
  list.add(members[0]!);
  assertEquals(namesIn(list), ["a", "b", "d", "e"]);
  for (const each of list) list.delete(each);
  assertEquals([namesIn(list), list.size], [[], 0]);
});

Deno.test("PlacedList removes nothing but its own members", () => {
  const list = new PlacedList<Member>();
  const [first, stranger] = [member("first"), member("stranger")];
  list.add(first);
  assertEquals([list.delete(stranger), list.delete(first), list.delete(first)], [false, true, false]);
});

Deno.test("PlacedList gives no member that is removed while others are looked at, and none that came meanwhile", () => {
  const list = new PlacedList<Member>();
  const members = [..."abcd"].map(member);
  for (const each of members) list.add(each);
  const seen: string[] = [];
  for (const each of list) {
    seen.push(each.name);
    for (const other of members) if (other !== each) list.delete(other);
    list.add(member("late"));
  }
  assertEquals(seen, ["a"]);
});
