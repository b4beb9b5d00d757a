/**
 * What the stores have in common that keep offsets beside the program, as groups in broadcasting do.
 *
 * @module
 */

import { OffsetTable } from "./offset_table.ts";
import type { OffsetStore } from "./store.ts";

/**
 * Where offsets are kept: in Deno KV, in a file, or in memory only.
 *
 * @category Advanced
 */
export type OffsetStoreKind = "kv" | "file" | "memory";

/**
 * An offset store of one member, with its bookkeeping: no other member writes the offsets while it is open. So reads
 * are answered from what was stored when it was opened, and from what it has written since.
 *
 * @category Advanced
 */
export class LocalOffsetStore extends OffsetTable {
  /** Where the offsets are kept; with `"memory"` they end with the program. */
  readonly kind: OffsetStoreKind;

  /** Makes a store that is not open yet. */
  constructor(kind: OffsetStoreKind, store: OffsetStore) {
    super(store);
    this.kind = kind;
  }

  /** Does nothing: a killed broker does not forget what is stored here. */
  override invalidate(_broker: string): void {}
}
