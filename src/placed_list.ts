/**
 * What comes and goes by the ten thousand a second.
 *
 * @module
 */

/** Something that knows its place in a list. */
export interface Placed {
  /** Where it stands in the list that holds it; −1 if none does. Kept by the list. */
  place: number;
}

/**
 * A list in no order, whose members leave as fast as they come.
 *
 * Not a `Set` or a `Map`: those make themselves a new table every few changes, and V8 has the old table point to the
 * new one. Once one of them is in the old generation, it keeps all that follow alive until the next full collection,
 * with every message or answer that they held: each scavenge then has megabytes to move instead of nothing.
 */
export class PlacedList<T extends Placed> {
  #members: T[] = [];

  /** How many members there are. */
  get size(): number {
    return this.#members.length;
  }

  /** The members as they are now, but for those that are removed meanwhile. */
  *[Symbol.iterator](): Iterator<T> {
    for (const member of this.#members.slice()) if (member.place >= 0) yield member;
  }

  /** Takes a member that is in no list. */
  add(member: T): void {
    member.place = this.#members.push(member) - 1;
  }

  /** Removes a member; tells whether it was one. */
  delete(member: T): boolean {
    if (member.place < 0) return false;
    const last = this.#members.pop()!;
    if (last !== member) {
      this.#members[member.place] = last;
      last.place = member.place;
    }
    member.place = -1;
    return true;
  }
}
