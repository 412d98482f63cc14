import Long from 'long'
import { describe, expect, test } from 'vitest'
import {
  ATTRIBUTES_AT,
  BASE_OFFSET_AT,
  BASE_SEQUENCE_AT,
  BASE_TIMESTAMP_AT,
  BATCH_LENGTH_AT,
  CRC_AT,
  type DecodeOptions,
  decodeRecordBatches,
  encodeRecordBatch,
  LAST_OFFSET_DELTA_AT,
  MAGIC_AT,
  MAX_TIMESTAMP_AT,
  PARTITION_LEADER_EPOCH_AT,
  PRODUCER_EPOCH_AT,
  PRODUCER_ID_AT,
  RECORD_COUNT_AT,
  RECORDS_AT,
} from '../../src/protocol/record-batch.ts'
import { bytes, fromHex, toHex } from '../support/byte-builder.ts'
import {
  type BatchVector,
  brokerBatches,
  builtBatches,
  controlBatch,
  tenRecordsOfG2,
} from '../vectors/record-batches.ts'

const vectors = [...brokerBatches, controlBatch, ...builtBatches].map((vector) => [vector.name, vector] as const)
const optionsFor = (vector: BatchVector): DecodeOptions => ({ checkCrc: vector.crcIsRight ?? true })
const G1 = fromHex(builtBatches[0]!.hex)

/** G1 with some bytes replaced, and whatever that does to its checksum ignored. */
const changed = (at: number, hex: string): Uint8Array => {
  const copy = Uint8Array.from(G1)
  copy.set(fromHex(hex), at)
  return copy
}
const decodeAnyway = (batch: Uint8Array) => decodeRecordBatches(batch, { checkCrc: false })

describe('a batch of another implementation', () => {
  test.each(vectors)('%s, is read with all its fields', (_name, vector) => {
    const whole = fromHex(vector.hex)
    const [batch, ...others] = decodeRecordBatches(whole, optionsFor(vector))
    expect(others).toEqual([])
    const { records, options } = vector
    const baseOffset = Long.fromValue(options.baseOffset ?? 0)
    const timestamps = records.map((record) => Number(record.timestamp))
    expect(batch).toEqual({
      baseOffset,
      partitionLeaderEpoch: options.partitionLeaderEpoch ?? -1,
      crc: vector.crc,
      attributes: (options.isTransactional ? 0x10 : 0) | (options.isControl ? 0x20 : 0),
      codec: 'none',
      timestampType: 'create',
      isTransactional: options.isTransactional ?? false,
      isControl: options.isControl ?? false,
      lastOffsetDelta: records.length - 1,
      baseTimestamp: Long.fromNumber(timestamps[0]!),
      maxTimestamp: Long.fromNumber(Math.max(...timestamps)),
      producerId: Long.fromValue(options.producerId ?? -1),
      producerEpoch: options.producerEpoch ?? -1,
      baseSequence: options.baseSequence ?? -1,
      recordCount: records.length,
      sizeInBytes: whole.length,
      recordsSection: whole.subarray(61),
      records: records.map((record, index) => ({
        offset: baseOffset.add(index),
        offsetDelta: index,
        timestamp: Long.fromNumber(timestamps[index]!),
        key: record.key,
        value: record.value,
        headers: record.headers,
      })),
    })
  })

  test.each(vectors)('%s, is written the same', (_name, vector) => {
    const written = toHex(encodeRecordBatch(vector.records, vector.options))
    if (vector.crcIsRight ?? true) expect(written).toBe(vector.hex)
    else {
      // All but the four bytes of the checksum, which is wrong in the source.
      expect(written.slice(0, 34)).toBe(vector.hex.slice(0, 34))
      expect(written.slice(42)).toBe(vector.hex.slice(42))
    }
  })

  test('of ten records has the size and checksum that were measured elsewhere', () => {
    const written = encodeRecordBatch(tenRecordsOfG2.records, tenRecordsOfG2.options)
    expect(written.length).toBe(tenRecordsOfG2.sizeInBytes)
    expect(decodeRecordBatches(written)[0]!.crc).toBe(tenRecordsOfG2.crc)
  })
})

test('the offsets of the header are those of the bytes', () => {
  const batch = bytes().int64(1n).int32(2).int32(3).int8(4).int32(5).int16(6).int32(7).int64(8n).int64(9n)
  const view = new DataView(batch.int64(10n).int16(11).int32(12).int32(13).int8(14).done().buffer)
  expect([
    view.getBigInt64(BASE_OFFSET_AT),
    view.getInt32(BATCH_LENGTH_AT),
    view.getInt32(PARTITION_LEADER_EPOCH_AT),
    view.getInt8(MAGIC_AT),
    view.getInt32(CRC_AT),
    view.getInt16(ATTRIBUTES_AT),
    view.getInt32(LAST_OFFSET_DELTA_AT),
    view.getBigInt64(BASE_TIMESTAMP_AT),
    view.getBigInt64(MAX_TIMESTAMP_AT),
    view.getBigInt64(PRODUCER_ID_AT),
    view.getInt16(PRODUCER_EPOCH_AT),
    view.getInt32(BASE_SEQUENCE_AT),
    view.getInt32(RECORD_COUNT_AT),
    view.getInt8(RECORDS_AT),
  ]).toEqual([1n, 2, 3, 4, 5, 6, 7, 8n, 9n, 10n, 11, 12, 13, 14])
})

describe('several batches', () => {
  const log = bytes()
  for (const vector of brokerBatches) log.hex(vector.hex)

  test('are read one after the other', () => {
    expect(decodeRecordBatches(log.done()).map((batch) => batch.baseOffset.toInt())).toEqual([0, 1, 3, 0])
  })

  test('with a torn one behind them are refused, or read without it when asked to', () => {
    const torn = bytes().raw(log).hex('00000000').done()
    expect(torn.length).toBe(303)
    expect(() => decodeRecordBatches(torn)).toThrow(
      expect.objectContaining({
        code: 'CORRUPT_MESSAGE',
        message: 'record batch 4 at byte 299 has no size, where only 4 bytes are left',
      }),
    )
    const whole = decodeRecordBatches(torn, { incompleteTail: 'ignore' })
    expect(whole.length).toBe(4)
    expect(whole.reduce((total, batch) => total + batch.sizeInBytes, 0)).toBe(299)
  })

  test('none are no batches', () => {
    expect(decodeRecordBatches(new Uint8Array(0))).toEqual([])
  })
})

describe('a batch that is refused', () => {
  test('cut at any byte, with the bytes that are there', () => {
    for (let length = 1; length < G1.length; length++) {
      expect(() => decodeRecordBatches(G1.subarray(0, length))).toThrow(
        expect.objectContaining({
          code: 'CORRUPT_MESSAGE',
          message: expect.stringMatching(
            /record batch 0 at byte 0 has (no size|77 bytes), where only \d+ bytes are left/,
          ),
        }),
      )
      expect(decodeRecordBatches(G1.subarray(0, length), { incompleteTail: 'ignore' })).toEqual([])
    }
  })

  test('has one bit wrong anywhere that the checksum covers, or in the checksum', () => {
    for (let at = CRC_AT; at < G1.length; at++) {
      const flipped = Uint8Array.from(G1)
      flipped[at]! ^= 1 << (at % 8)
      expect(() => decodeRecordBatches(flipped)).toThrow(/record batch 0 at byte 0: the CRC-32C is .*, the header says/)
    }
  })

  test('is named with its place and both checksums', () => {
    const two = bytes().hex(brokerBatches[0]!.hex).raw(changed(CRC_AT, '00000000')).done()
    expect(() => decodeRecordBatches(two)).toThrow(
      'record batch 1 at byte 71: the CRC-32C is ef7cde45, the header says 00000000',
    )
  })

  test.each([
    ['of another magic', MAGIC_AT, '01', /magic 1, only 2 is read/],
    ['shorter than a header', BATCH_LENGTH_AT, '00000030', /claims a length of 48, a header alone has 49/],
    ['of a negative length', BATCH_LENGTH_AT, 'ffffffff', /claims a length of -1/],
    ['longer than what is there', BATCH_LENGTH_AT, '7fffffff', /has 2147483659 bytes, where only 77 bytes are left/],
    ['of an unknown codec', ATTRIBUTES_AT, '0005', /unknown codec 5/],
    ['of a negative number of records', RECORD_COUNT_AT, 'ffffffff', /a count of -1 records/],
    ['of a negative last offset', LAST_OFFSET_DELTA_AT, 'ffffffff', /a last offset delta of -1/],
    ['of more records than are there', RECORD_COUNT_AT, '7fffffff', /varint of 1 bytes at byte 16, where only 0/],
    ['of fewer records than are there', RECORD_COUNT_AT, '00000000', /16 bytes are left over at byte 0/],
  ])('%s', (_what, at, hex, says) => {
    expect(() => decodeAnyway(changed(at, hex))).toThrow(says)
    expect(() => decodeAnyway(changed(at, hex))).toThrow(expect.objectContaining({ code: 'CORRUPT_MESSAGE' }))
  })
})

test('a batch that compaction has emptied has no records and keeps its offsets', () => {
  const empty = bytes().int64(40n).int32(49).int32(1).int8(2).int32(0).int16(0).int32(9).int64(1n).int64(1n)
  empty.int64(-1n).int16(-1).int32(-1).int32(0)
  const [batch] = decodeAnyway(empty.done())
  expect([batch!.records, batch!.lastOffsetDelta, batch!.baseOffset.toInt()]).toEqual([[], 9, 40])
})

test('a compressed batch comes with its header and its section as it is', () => {
  const section = bytes().hex('1f8b0800000000000000').done()
  const head = bytes()
    .int64(7n)
    .int32(49 + section.length)
    .int32(0)
    .int8(2)
    .int32(0)
    .int16(1)
    .int32(3)
  head.int64(1_700_000_000_000n).int64(1_700_000_000_009n).int64(5n).int16(1).int32(20).int32(4)
  const [batch] = decodeAnyway(head.raw(section).done())
  expect([batch!.codec, batch!.records, batch!.recordCount, batch!.lastOffsetDelta]).toEqual(['gzip', null, 4, 3])
  expect(toHex(batch!.recordsSection)).toBe(toHex(section))
})

test.each([
  [0, 'none'],
  [1, 'gzip'],
  [2, 'snappy'],
  [3, 'lz4'],
  [4, 'zstd'],
])('codec %s is %s', (id, name) => {
  const [batch] = decodeAnyway(changed(ATTRIBUTES_AT, `000${id}`))
  expect(batch!.codec).toBe(name)
})

test('where timestamps are those of the append, every record has that of the batch', () => {
  const written = encodeRecordBatch(builtBatches[5]!.records, { logAppendTimeMs: 1_800_000_000_000 })
  const [batch] = decodeRecordBatches(written)
  expect([batch!.timestampType, batch!.attributes]).toEqual(['append', 0x08])
  expect(batch!.baseTimestamp.toNumber()).toBe(1_700_000_000_000)
  expect(batch!.records!.map((record) => record.timestamp.toNumber())).toEqual(Array(2).fill(1_800_000_000_000))
})

test('a batch without records is not written', () => {
  expect(() => encodeRecordBatch([])).toThrow(RangeError)
})
