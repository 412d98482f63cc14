// Whole record batches of magic 2, with what they hold.

import type { BatchRecordHeader, RecordToEncode } from '../../src/protocol/record.ts'
import type { EncodeOptions } from '../../src/protocol/record-batch.ts'

export interface BatchVector {
  readonly name: string
  readonly hex: string
  readonly crc: number
  readonly records: readonly RecordToEncode[]
  readonly options: EncodeOptions
  /** False where the source itself carries a wrong checksum. */
  readonly crcIsRight?: boolean
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const record = (
  timestamp: number,
  key: string | null,
  value: string | null,
  headers: readonly (readonly [string, string | null])[] = [],
): RecordToEncode => ({
  timestamp,
  key: key === null ? null : utf8(key),
  value: value === null ? null : utf8(value),
  headers: headers.map(([name, text]): BatchRecordHeader => ({ key: name, value: text === null ? null : utf8(text) })),
})

const withTwoHeaders = record(9999999, 'test', 'Super', [
  ['header1', 'aaa'],
  ['header2', 'bbb'],
])

/** From a Kafka 0.11 broker's log: kafka-python a3b3836, test/record/test_records.py. */
export const brokerBatches: readonly BatchVector[] = [
  {
    name: 'V1: one record without key',
    hex: '00000000000000000000003b00000001020318a2700000000000000000015dff7b063c0000015dff7b063cffffffffffffffffffffffffffff0000000112000000010631323300',
    crc: 0x0318a270,
    records: [record(1503229838908, null, '123')],
    options: { baseOffset: 0, partitionLeaderEpoch: 1 },
  },
  {
    name: 'V2: two empty values, 168 ms apart',
    hex: '0000000000000001000000400000000202c85cbd230000000000010000015dff7cdd6c0000015dff7cde14ffffffffffffffffffffffffffff000000020c0000000100000e00d00202010000',
    crc: 0xc85cbd23,
    records: [record(1503229959532, null, ''), record(1503229959700, null, '')],
    options: { baseOffset: 1, partitionLeaderEpoch: 2 },
  },
  {
    name: 'V3: offset 3',
    hex: '00000000000000030000003b00000002022e0b85b70000000000000000015dff7ce79d0000015dff7ce79dffffffffffffffffffffffffffff0000000112000000010631323300',
    crc: 0x2e0b85b7,
    records: [record(1503229962141, null, '123')],
    options: { baseOffset: 3, partitionLeaderEpoch: 2 },
  },
  {
    name: 'V4: one header',
    hex: '00000000000000000000004500000000025cd8ef520000000000000000016585b6f3c10000016585b6f3c1ffffffffffffffffffffffffffff000000012600000001066864720208686b6579086876616c',
    crc: 0x5cd8ef52,
    records: [record(1535546684353, null, 'hdr', [['hkey', 'hval']])],
    options: { baseOffset: 0, partitionLeaderEpoch: 0 },
  },
]

/** The same source: an abort marker, whose checksum is wrong there. */
export const controlBatch: BatchVector = {
  name: 'V5: a control batch that aborts a transaction',
  hex: '00000000000000000000005200000000026597ffd0002000000000000000000098967f000000000098967fffffffffffffffffffffffffffff000000014000000008000000002c6f70617175652d636f6e74726f6c2d6d65737361676500',
  crc: 0x6597ffd0,
  records: [{ timestamp: 9999999, key: Uint8Array.of(0, 0, 0, 0), value: utf8('opaque-control-message'), headers: [] }],
  options: { partitionLeaderEpoch: 0, isControl: true },
  crcIsRight: false,
}

/** From inputs in kafka-python's tests; bytes and checksums computed by a second implementation. */
export const builtBatches: readonly BatchVector[] = [
  {
    name: 'G1: key and value',
    hex: '0000000000000000000000410000000002ef7cde45000000000000000000000098967f000000000098967fffffffffffffffffffffffffffff000000011e00000008746573740a537570657200',
    crc: 0xef7cde45,
    records: [record(9999999, 'test', 'Super')],
    options: { partitionLeaderEpoch: 0 },
  },
  {
    name: 'G2: transactional, two records with two headers',
    hex: '0000000000000000000000810000000002198259b6001000000001000000000098967f000000000098967f000000000001e240007b0000270f000000024e00000008746573740a5375706572040e68656164657231066161610e68656164657232066262624e00000208746573740a5375706572040e68656164657231066161610e6865616465723206626262',
    crc: 0x198259b6,
    records: [withTwoHeaders, withTwoHeaders],
    options: {
      partitionLeaderEpoch: 0,
      producerId: 123456,
      producerEpoch: 123,
      baseSequence: 9999,
      isTransactional: true,
    },
  },
  {
    name: 'G3: tombstone, null key with empty value and null header, empty key 3 ms earlier',
    hex: '00000000000000000000004c00000000025dd7f90e0000000000020000018bcfe568000000018bcfe56805ffffffffffffffffffffffffffff000000030e000000026b010014000a02010002047878010e00050400027600',
    crc: 0x5dd7f90e,
    records: [
      record(1700000000000, 'k', null),
      record(1700000000005, null, '', [['xx', null]]),
      record(1699999999997, '', 'v'),
    ],
    options: { partitionLeaderEpoch: 0 },
  },
  {
    name: 'A: no producer id, leader epoch -1 as the Java producer writes it',
    hex: '00000000000000000000003dffffffff02e641a44b0000000000000000018bcfe568000000018bcfe56800ffffffffffffffffffffffffffff0000000116000000010a68656c6c6f00',
    crc: 0xe641a44b,
    records: [record(1700000000000, null, 'hello')],
    options: {},
  },
  {
    name: 'B: in a transaction, a null header, then a record of nothing',
    hex: '00000000000000000000004affffffff02976b00b10010000000010000018bcfe568000000018bcfe568050000000000000fa00003000000070000000222000000026b0276040468310278046832010c000a02010100',
    crc: 0x976b00b1,
    records: [
      record(1700000000000, 'k', 'v', [
        ['h1', 'x'],
        ['h2', null],
      ]),
      record(1700000000005, null, null),
    ],
    options: { producerId: 4000, producerEpoch: 3, baseSequence: 7, isTransactional: true },
  },
  {
    name: 'C: idempotent, empty key and value, then 10 ms earlier',
    hex: '000000000000000000000041ffffffff02afa5ebd10000000000010000018bcfe568000000018bcfe568000000000000000001000000000000000000020c000000000000100013020261026200',
    crc: 0xafa5ebd1,
    records: [record(1700000000000, '', ''), record(1699999999990, 'a', 'b')],
    options: { producerId: 1, producerEpoch: 0, baseSequence: 0 },
  },
]

/** G2's record ten times: 461 bytes, of which only size and checksum are known (test_read_write_serde_v2). */
export const tenRecordsOfG2 = {
  records: Array.from({ length: 10 }, () => withTwoHeaders),
  options: builtBatches[1]!.options,
  sizeInBytes: 461,
  crc: 0xd444834c,
}
