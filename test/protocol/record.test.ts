import fc from 'fast-check'
import Long from 'long'
import { describe, expect, test } from 'vitest'
import {
  type BatchRecord,
  controlTypeOf,
  decodeRecords,
  encodeRecords,
  type RecordContext,
} from '../../src/protocol/record.ts'
import { anyRecords } from '../support/arbitraries.ts'
import { type ByteBuilder, bytes, toHex } from '../support/byte-builder.ts'

const context = (part: Partial<RecordContext> = {}): RecordContext => ({
  baseOffset: Long.fromInt(100),
  lastOffsetDelta: 0,
  timestampType: 'create',
  baseTimestamp: Long.fromNumber(1_700_000_000_000),
  maxTimestamp: Long.fromNumber(1_700_000_000_000),
  recordCount: 1,
  ...part,
})

/** A record with its length in front. */
const sized = (body: ByteBuilder): ByteBuilder => bytes().varint(body.length).raw(body)
const plain = (offsetDelta: number): ByteBuilder =>
  sized(bytes().int8(0).varint(0).varint(offsetDelta).varint(-1).varint(-1).varint(0))
const deltasOf = (records: readonly BatchRecord[]) => records.map((record) => record.offsetDelta)

describe('a records section', () => {
  test('of any records comes back, null and empty apart, with timestamps years before and after', () => {
    fc.assert(
      fc.property(anyRecords, (records) => {
        const baseTimestamp = Long.fromValue(records[0]!.timestamp)
        const section = new Uint8Array(encodeRecords(records, baseTimestamp))
        const batch = context({ baseTimestamp, lastOffsetDelta: records.length - 1, recordCount: records.length })
        expect(decodeRecords(section, batch)).toEqual(
          records.map((record, index) => ({
            ...record,
            offset: Long.fromInt(100 + index),
            offsetDelta: index,
            timestamp: Long.fromValue(record.timestamp),
          })),
        )
      }),
    )
  })

  test('is written as KIP-98 says', () => {
    const body = bytes().int8(0).varint(-3_000_000_000).varint(0).varint(1).hex('6b').varint(-1).varint(2)
    body.varint(2).hex('c3a9').varint(-1).varint(0).varint(1).hex('00')
    const record = {
      timestamp: 1_697_000_000_000,
      key: Uint8Array.of(0x6b),
      value: null,
      headers: [
        { key: 'é', value: null },
        { key: '', value: Uint8Array.of(0) },
      ],
    }
    expect(toHex(encodeRecords([record], Long.fromNumber(1_700_000_000_000)))).toBe(toHex(sized(body).done()))
    const [read] = decodeRecords(sized(body).done(), context())
    expect(read).toEqual({
      ...record,
      offset: Long.fromInt(100),
      offsetDelta: 0,
      timestamp: Long.fromNumber(1_697_000_000_000),
    })
  })

  test('may have gaps between its offsets, as compaction leaves them', () => {
    const section = bytes().raw(plain(1)).raw(plain(4)).done()
    expect(deltasOf(decodeRecords(section, context({ lastOffsetDelta: 5, recordCount: 2 })))).toEqual([1, 4])
  })

  test('has timestamps more than 24.8 days from the first: the delta is a varlong', () => {
    const far = sized(bytes().int8(0).varint(2_500_000_000).varint(0).varint(-1).varint(-1).varint(0))
    const [record] = decodeRecords(far.done(), context())
    expect(record!.timestamp.toNumber()).toBe(1_702_500_000_000)
  })
})

describe('a records section is refused', () => {
  const body = () => bytes().int8(0).varint(0).varint(0)
  const two = context({ lastOffsetDelta: 1, recordCount: 2 })

  test.each([
    [
      'when a record is longer than what is there',
      bytes().varint(50).hex('000000'),
      /record 0 of 50 bytes at byte 1, where only 3/,
    ],
    ['when a record has a negative length', bytes().varint(-1).hex('000000'), /record 0 of -1 bytes at byte 1/],
    ['when a record length is overlong', bytes().hex('808080808001'), /varint does not fit into 32 bits at byte 0/],
    ['when a record ends before its fields', sized(body().varint(-1)), /varint of 1 bytes at byte 5, where only 0/],
    ['when bytes of a record are left over', sized(body().hex('010100 ff')), /1 bytes are left over at byte 7/],
    ['when bytes behind the records are left over', bytes().raw(plain(0)).int8(0), /1 bytes are left over at byte 7/],
    [
      'when a key is longer than its record',
      sized(body().varint(1_000_000).hex('00')),
      /key of 1000000 bytes at byte 7, where only 1/,
    ],
    ['when a key has a negative length but -1', sized(body().varint(-2)), /key of -2 bytes at byte 4/],
    [
      'when a value is longer than its record',
      sized(body().varint(-1).varint(9)),
      /value of 9 bytes at byte 6, where only 0/,
    ],
    [
      'when there are more headers than bytes',
      sized(body().hex('0101').varint(2_147_483_647)),
      /2147483647 headers at byte 6, where only 0/,
    ],
    ['when there are fewer headers than none', sized(body().hex('0101').varint(-1)), /-1 headers at byte 6/],
    ['when a header has no key', sized(body().hex('0101 02 01 01')), /null in place of a header key before byte 8/],
    [
      'when a header key is longer than its record',
      sized(body().hex('0101 02 10 01')),
      /header key of 8 bytes at byte 8/,
    ],
    [
      'when a header value is longer than its record',
      sized(body().hex('0101 02 00 08')),
      /header value of 4 bytes at byte 9/,
    ],
    ['when an offset is above the last', plain(1), /record 0 has the offset delta 1, it must be above -1, at most 0/],
    ['when an offset is negative', plain(-1), /record 0 has the offset delta -1, it must be above -1, at most 0/],
  ])('%s', (_when, section, says) => {
    expect(() => decodeRecords(section.done(), context())).toThrow(says)
    expect(() => decodeRecords(section.done(), context())).toThrow(expect.objectContaining({ code: 'CORRUPT_MESSAGE' }))
  })

  test('when offsets do not ascend', () => {
    const again = bytes().raw(plain(1)).raw(plain(1)).done()
    expect(() => decodeRecords(again, two)).toThrow(/record 1 has the offset delta 1, it must be above 1, at most 1/)
    const backwards = bytes().raw(plain(1)).raw(plain(0)).done()
    expect(() => decodeRecords(backwards, two)).toThrow(/record 1 has the offset delta 0, it must be above 1/)
  })

  test('when it is cut at any byte', () => {
    const section = bytes()
      .raw(plain(0))
      .raw(sized(bytes().int8(0).varint(5).varint(1).hex('02 6b 02 76 02 02 68 01')))
      .done()
    expect(decodeRecords(section, two).length).toBe(2)
    for (let length = 0; length < section.length; length++) {
      expect(() => decodeRecords(section.subarray(0, length), two)).toThrow(
        expect.objectContaining({ code: 'CORRUPT_MESSAGE' }),
      )
    }
  })

  test('or read, whatever bytes it is made of, with no other error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat({ max: 5 }), (section, recordCount) => {
        try {
          expect(decodeRecords(section, context({ lastOffsetDelta: 1000, recordCount })).length).toBe(recordCount)
        } catch (error) {
          expect(error).toEqual(expect.objectContaining({ code: 'CORRUPT_MESSAGE' }))
        }
      }),
    )
  })
})

describe('the key of a control record', () => {
  const control = (key: Uint8Array | null): BatchRecord => ({
    offset: Long.ZERO,
    offsetDelta: 0,
    timestamp: Long.ZERO,
    key,
    value: null,
    headers: [],
  })

  test('says what the marker is: 0 aborts, 1 commits', () => {
    expect(controlTypeOf(control(bytes().int16(0).int16(0).done()))).toEqual({ version: 0, type: 0 })
    expect(controlTypeOf(control(bytes().int16(1).int16(1).done()))).toEqual({ version: 1, type: 1 })
  })

  test('that is missing or too short is refused', () => {
    for (const key of [null, bytes().int16(0).done()]) {
      expect(() => controlTypeOf(control(key))).toThrow(
        expect.objectContaining({
          code: 'CORRUPT_MESSAGE',
          message: expect.stringMatching(/^key of a control record: int16/),
        }),
      )
    }
  })
})
