import { encodeRecord, type StoredRecordFields } from "../../src/wire/record.ts";

/** A record of which only the fields matter that are given. */
export function plainRecord(fields: Partial<StoredRecordFields>): Uint8Array {
  return encodeRecord({
    topic: "orders",
    queueId: 3,
    queueOffset: 41,
    commitLogOffset: 229,
    body: new Uint8Array(0),
    properties: "",
    flag: 0,
    sysFlag: 0,
    bornTimestamp: 1,
    bornHost: "10.0.0.9:5555",
    storeTimestamp: 2,
    storeHost: "127.0.0.1:10911",
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    ...fields,
  });
}
