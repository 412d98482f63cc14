import fc from 'fast-check'
import Long from 'long'
import { describe, expect, test } from 'vitest'
import { LINK_ABOVE_BYTES, Writer } from '../../src/protocol/writer.ts'
import { int8, int16, int32, int64, someBytes, text, uint32 } from '../support/arbitraries.ts'
import { bytes, fromHex, toHex } from '../support/byte-builder.ts'
import { twoTaggedFields } from '../vectors/messages.ts'
import { unsignedVarints, zigzagVarlongs } from '../vectors/varints.ts'

const written = (write: (writer: Writer) => void): string => {
  const writer = new Writer(1)
  write(writer)
  return toHex(writer.finish())
}

const INT32_MIN = -(2n ** 31n)
const INT32_MAX = 2n ** 31n - 1n

describe('numbers', () => {
  test('are big endian', () => {
    expect(written((w) => w.int8(-2).int16(-2).int32(-2).uint32(4_294_967_294))).toBe('fefffefffffffefffffffe')
    expect(written((w) => w.int16(258).int32(16_909_060))).toBe('010201020304')
    expect(written((w) => w.int64(Long.fromString('72623859790382856')))).toBe('0102030405060708')
    expect(written((w) => w.int64(Long.MIN_VALUE).int64(Long.NEG_ONE))).toBe(`8000000000000000${'ff'.repeat(8)}`)
    expect(written((w) => w.boolean(true).boolean(false))).toBe('0100')
  })

  test('of any value are what DataView writes', () => {
    fc.assert(
      fc.property(int8, int16, int32, uint32, int64, (a, b, c, d, e) => {
        const expected = bytes()
          .int8(a)
          .int16(b)
          .int32(c)
          .int32(d | 0)
          .int64(BigInt(e.toString()))
        expect(written((w) => w.int8(a).int16(b).int32(c).uint32(d).int64(e))).toBe(toHex(expected.done()))
      }),
    )
  })

  test('outside of their type are refused, not cut', () => {
    expect(() => new Writer().int8(128)).toThrow(RangeError)
    expect(() => new Writer().int16(32_768)).toThrow(RangeError)
    expect(() => new Writer().int32(2_147_483_648)).toThrow(RangeError)
    expect(() => new Writer().uint32(-1)).toThrow(RangeError)
    expect(() => new Writer().varint(2_147_483_648)).toThrow(RangeError)
    expect(() => new Writer().varint(0.5)).toThrow(RangeError)
    expect(() => new Writer().unsignedVarint(-1)).toThrow(RangeError)
    expect(() => new Writer().unsignedVarint(4_294_967_296)).toThrow(RangeError)
    expect(() => new Writer().unsignedVarint(Number.NaN)).toThrow(RangeError)
  })
})

describe('varints', () => {
  test.each(zigzagVarlongs)('%s is the varlong %s', (hex, value) => {
    expect(written((w) => w.varlong(Long.fromString(value.toString())))).toBe(hex)
  })

  test.each(zigzagVarlongs.filter(([, value]) => value >= INT32_MIN && value <= INT32_MAX))(
    '%s is the varint %s',
    (hex, value) => {
      expect(written((w) => w.varint(Number(value)))).toBe(hex)
    },
  )

  test.each(unsignedVarints)('%s is the unsigned varint %s', (hex, value) => {
    expect(written((w) => w.unsignedVarint(value))).toBe(hex)
  })

  test('of any value are what plain arithmetic says', () => {
    fc.assert(
      fc.property(uint32, int32, int64, (a, b, c) => {
        const expected = bytes().unsignedVarint(a).varint(b).varint(BigInt(c.toString()))
        expect(written((w) => w.unsignedVarint(a).varint(b).varlong(c))).toBe(toHex(expected.done()))
      }),
    )
  })
})

describe('strings and bytes', () => {
  test('a string has an int16 length, in flexible versions a varint of its length + 1', () => {
    expect(written((w) => w.string('foo', false))).toBe('0003666f6f')
    expect(written((w) => w.string('foo', true))).toBe('04666f6f')
    expect(written((w) => w.string('', false).string('', true))).toBe('000001')
  })

  test('a null string is ffff, in flexible versions the single byte 00', () => {
    expect(written((w) => w.nullableString(null, false))).toBe('ffff')
    expect(written((w) => w.nullableString(null, true))).toBe('00')
    expect(written((w) => w.nullableString('foo', false).nullableString('foo', true))).toBe('0003666f6f04666f6f')
  })

  test('a string is counted in UTF-8 bytes', () => {
    expect(written((w) => w.string('é€😀', false))).toBe('0009c3a9e282acf09f9880')
  })

  test('a string of more than 32767 bytes is refused and named by its size', () => {
    expect(new Writer().string('x'.repeat(32_767), false).byteLength).toBe(32_769)
    expect(() => new Writer().string('é'.repeat(16_384), true)).toThrow(/string of 32768 bytes.*32767/)
  })

  test('bytes have an int32 length, in flexible versions a varint of their length + 1; null is ffffffff or 00', () => {
    expect(written((w) => w.bytes(fromHex('0a0b'), false))).toBe('000000020a0b')
    expect(written((w) => w.bytes(fromHex('0a0b'), true))).toBe('030a0b')
    expect(written((w) => w.nullableBytes(null, false).nullableBytes(null, true))).toBe('ffffffff00')
    expect(written((w) => w.nullableBytes(fromHex('0a'), true))).toBe('020a')
  })

  test('a uuid is its 16 bytes, and nothing else will do', () => {
    expect(written((w) => w.uuid(new Uint8Array(16).fill(7)))).toBe('07'.repeat(16))
    expect(() => new Writer().uuid(new Uint8Array(15))).toThrow(/16 bytes, not 15/)
  })

  test('any text and any bytes are written whole, however often the buffer has to grow', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(text, someBytes), { maxLength: 30 }), (items) => {
        const expected = bytes()
        for (const [string, raw] of items)
          expected
            .compactString(string)
            .unsignedVarint(raw.length + 1)
            .raw(raw)
        const writer = new Writer(1)
        for (const [string, raw] of items) writer.string(string, true).bytes(raw, true)
        expect(toHex(writer.finish())).toBe(toHex(expected.done()))
      }),
    )
  })
})

describe('arrays and tagged fields', () => {
  test('an array has an int32 count, in flexible versions a varint of the count + 1; null is ffffffff or 00', () => {
    const each = (writer: Writer) => (item: number) => writer.int8(item)
    expect(written((w) => w.array([1, 2], false, each(w)))).toBe('000000020102')
    expect(written((w) => w.array([1, 2], true, each(w)))).toBe('030102')
    expect(written((w) => w.array([], true, each(w)))).toBe('01')
    expect(written((w) => w.nullableArray(null, false, each(w)).nullableArray(null, true, each(w)))).toBe('ffffffff00')
    expect(written((w) => w.nullableArray([3], true, each(w)))).toBe('0203')
  })

  test('no tagged fields are the single byte 00', () => {
    expect(written((w) => w.taggedFields())).toBe('00')
  })

  test('tagged fields are count, then tag, size and value of each', () => {
    const fields = [
      { tag: 0, data: fromHex('0002') },
      { tag: 1, data: fromHex('07666f6f626172') },
    ]
    expect(written((w) => w.taggedFields(fields))).toBe(twoTaggedFields)
  })

  test('tagged fields that do not ascend are refused', () => {
    const data = new Uint8Array(0)
    expect(() =>
      new Writer().taggedFields([
        { tag: 1, data },
        { tag: 1, data },
      ]),
    ).toThrow(/tag 1 after 1/)
  })
})

describe('records', () => {
  const small = new Uint8Array(LINK_ABOVE_BYTES).fill(1)
  const large = new Uint8Array(LINK_ABOVE_BYTES + 1).fill(2)

  test('the length of all segments comes first, as int32 or as varint of the length + 1; null is ffffffff or 00', () => {
    const segments = [fromHex('0a'), fromHex('0b0c')]
    expect(written((w) => w.records(segments, false))).toBe('000000030a0b0c')
    expect(written((w) => w.records(segments, true))).toBe('040a0b0c')
    expect(written((w) => w.records([], true))).toBe('01')
    expect(written((w) => w.records(null, false).records(null, true))).toBe('ffffffff00')
  })

  test('a segment above 4 KiB is linked as it is, one of 4 KiB is copied into the framing', () => {
    const writer = new Writer().int8(9).records([small, large, small], false).int8(9)
    const [before, linked, behind, ...rest] = writer.segments()
    expect(linked).toBe(large)
    expect(rest).toEqual([])
    const total = large.length + 2 * small.length
    expect(toHex(before!)).toBe(toHex(bytes().int8(9).int32(total).fill(1, small.length).done()))
    expect(toHex(behind!)).toBe(toHex(bytes().fill(1, small.length).int8(9).done()))
    small[0] = 77
    expect(before![5]).toBe(1)
    small[0] = 1
    expect(writer.byteLength).toBe(6 + total)
  })

  test('segments joined are the finished message, also when it grows behind a linked segment', () => {
    const writer = new Writer(4).records([large], true)
    const early = writer.segments()
    writer.raw(small).records([large, large], true).string('end', true)
    const expected = bytes()
      .unsignedVarint(large.length + 1)
      .raw(large)
      .raw(small)
      .unsignedVarint(2 * large.length + 1)
      .raw(large)
      .raw(large)
      .compactString('end')
    expect(toHex(writer.segments())).toBe(toHex(expected.done()))
    expect(toHex(writer.finish())).toBe(toHex(expected.done()))
    expect(writer.byteLength).toBe(expected.length)
    expect(toHex(early)).toBe(
      toHex(
        bytes()
          .unsignedVarint(large.length + 1)
          .raw(large)
          .done(),
      ),
    )
  })
})

test('an empty message is no bytes', () => {
  const writer = new Writer()
  expect(writer.byteLength).toBe(0)
  expect(writer.segments()).toEqual([])
  expect(writer.finish().length).toBe(0)
})
