import fc from 'fast-check'
import Long from 'long'
import { describe, expect, test } from 'vitest'
import { KafkaError } from '../../src/errors.ts'
import { Reader } from '../../src/protocol/reader.ts'
import { int8, int16, int32, int64, nullableText, someBytes, text, uint32 } from '../support/arbitraries.ts'
import { bytes, fromHex } from '../support/byte-builder.ts'
import { twoTaggedFields } from '../vectors/messages.ts'
import { unsignedVarints, zigzagVarlongs } from '../vectors/varints.ts'

const reading = (hex: string): Reader => new Reader(fromHex(hex))

/** What the reader says instead of a value. */
function refusal(read: () => unknown): string {
  try {
    read()
  } catch (error) {
    expect(error).toBeInstanceOf(KafkaError)
    expect((error as KafkaError).code).toBe('PROTOCOL_ERROR')
    return (error as KafkaError).message
  }
  throw new Error('it was read')
}

describe('numbers', () => {
  test('are big endian', () => {
    const reader = reading('fe fffe fffffffe fffffffe 0102030405060708 01 00')
    expect([reader.int8(), reader.int16(), reader.int32(), reader.uint32()]).toEqual([-2, -2, -2, 4_294_967_294])
    expect(reader.int64().toString()).toBe('72623859790382856')
    expect([reader.boolean(), reader.boolean()]).toEqual([true, false])
    reader.expectEnd()
  })

  test('of any value are what DataView wrote, in a Buffer and in a plain Uint8Array inside a larger one', () => {
    fc.assert(
      fc.property(int8, int16, int32, uint32, int64, (a, b, c, d, e) => {
        const message = bytes()
          .int8(a)
          .int16(b)
          .int32(c)
          .int32(d | 0)
          .int64(BigInt(e.toString()))
          .done()
        const around = new Uint8Array(message.length + 8).fill(255)
        around.set(message, 3)
        const readers = [
          new Reader(message),
          new Reader(Buffer.from(message)),
          new Reader(around.subarray(3, 3 + message.length)),
          new Reader(around, 3, 3 + message.length),
        ]
        for (const reader of readers) {
          expect([reader.int8(), reader.int16(), reader.int32(), reader.uint32()]).toEqual([a, b, c, d])
          expect(reader.int64().equals(e)).toBe(true)
          reader.expectEnd()
        }
      }),
    )
  })

  test('every byte but 00 is true', () => {
    expect([reading('01').boolean(), reading('02').boolean(), reading('ff').boolean()]).toEqual([true, true, true])
  })
})

describe('varints', () => {
  test.each(zigzagVarlongs)('%s is the varlong %s, anywhere in a message', (hex, value) => {
    expect(reading(hex).varlong().toString()).toBe(value.toString())
    const reader = new Reader(fromHex(`01f0${hex}ff01`), 2)
    expect(reader.varlong().toString()).toBe(value.toString())
    expect(reader.remaining).toBe(2)
  })

  const fitting32 = zigzagVarlongs.filter(([, value]) => value >= -(2n ** 31n) && value < 2n ** 31n)
  test.each(fitting32)('%s is the varint %s, anywhere in a message', (hex, value) => {
    const reader = new Reader(fromHex(`01f0${hex}ff01`), 2)
    expect(reader.varint()).toBe(Number(value))
    expect(reader.offset).toBe(2 + hex.length / 2)
  })

  test.each(unsignedVarints)('%s is the unsigned varint %s', (hex, value) => {
    expect(reading(hex).unsignedVarint()).toBe(value)
  })

  test('of any value are what plain arithmetic wrote', () => {
    fc.assert(
      fc.property(uint32, int32, int64, (a, b, c) => {
        const message = bytes().unsignedVarint(a).varint(b).varint(BigInt(c.toString())).done()
        const reader = new Reader(message)
        expect([reader.unsignedVarint(), reader.varint(), reader.varlong().toString()]).toEqual([a, b, c.toString()])
        reader.expectEnd()
      }),
    )
  })

  test('a longer form than needed is read', () => {
    expect(reading('8000').unsignedVarint()).toBe(0)
    expect(reading('818000').varlong().toInt()).toBe(-1)
  })

  test('a varint of six bytes, or of more than 32 bits, is refused where it begins', () => {
    expect(refusal(() => reading('808080808001').unsignedVarint())).toMatch(
      /varint does not fit into 32 bits at byte 0/,
    )
    expect(refusal(() => reading('ffffffff10').varint())).toMatch(/varint does not fit into 32 bits at byte 0/)
    expect(refusal(() => new Reader(fromHex('00ffffffff7f'), 1).varint())).toMatch(/at byte 1/)
  })

  test('a varlong of eleven bytes, or of more than 64 bits, is refused where it begins', () => {
    expect(refusal(() => reading(`${'80'.repeat(10)}01`).varlong())).toMatch(
      /varlong does not fit into 64 bits at byte 0/,
    )
    expect(refusal(() => reading(`${'ff'.repeat(9)}02`).varlong())).toMatch(
      /varlong does not fit into 64 bits at byte 0/,
    )
  })

  test('one that the message cuts short is refused', () => {
    expect(refusal(() => reading('8080').unsignedVarint())).toMatch(
      /varint of 1 bytes at byte 2, where only 0 are left/,
    )
    expect(refusal(() => reading('').varlong())).toMatch(/varlong of 1 bytes at byte 0/)
  })
})

describe('strings and bytes', () => {
  test('both forms of a string are read, and null where it may be', () => {
    expect(reading('0003666f6f').string(false)).toBe('foo')
    expect(reading('04666f6f').string(true)).toBe('foo')
    expect([reading('ffff').nullableString(false), reading('00').nullableString(true)]).toEqual([null, null])
    expect([reading('0000').string(false), reading('01').string(true)]).toEqual(['', ''])
  })

  test('null where it may not be is refused', () => {
    expect(refusal(() => reading('ffff').string(false))).toMatch(/null in place of string before byte 2/)
    expect(refusal(() => reading('00').bytes(true))).toMatch(/null in place of bytes before byte 1/)
    expect(refusal(() => reading('ffffffff').array(false, () => 0))).toMatch(/null in place of array before byte 4/)
  })

  test('any text and any bytes come back', () => {
    fc.assert(
      fc.property(text, nullableText, someBytes, (string, nullable, raw) => {
        const message = bytes()
          .string(string)
          .compactString(nullable)
          .unsignedVarint(raw.length + 1)
          .raw(raw)
          .done()
        const reader = new Reader(message)
        expect(reader.string(false)).toBe(string)
        expect(reader.nullableString(true)).toBe(nullable)
        expect(Array.from(reader.bytes(true))).toEqual(Array.from(raw))
        reader.expectEnd()
      }),
    )
  })

  test('bytes and records are views on the message, a uuid is a copy', () => {
    const message = bytes().int32(2).hex('0a0b').int32(1).hex('0c').fill(7, 16).done()
    const reader = new Reader(message)
    const [value, records, uuid] = [reader.bytes(false), reader.records(false), reader.uuid()]
    message.fill(0)
    expect([Array.from(value), Array.from(records!), Array.from(uuid)]).toEqual([[0, 0], [0], new Array(16).fill(7)])
    expect([reading('ffffffff').records(false), reading('00').records(true)]).toEqual([null, null])
    expect([reading('ffffffff').nullableBytes(false), reading('00').nullableBytes(true)]).toEqual([null, null])
  })
})

describe('arrays and tagged fields', () => {
  test('both forms of an array are read, and null where it may be', () => {
    const ofInt8 = (reader: Reader, flexible: boolean) => reader.nullableArray(flexible, () => reader.int8())
    expect(ofInt8(reading('000000020102'), false)).toEqual([1, 2])
    expect(ofInt8(reading('030102'), true)).toEqual([1, 2])
    expect([ofInt8(reading('ffffffff'), false), ofInt8(reading('00'), true)]).toEqual([null, null])
    expect([ofInt8(reading('00000000'), false), ofInt8(reading('01'), true)]).toEqual([[], []])
  })

  test('tagged fields are kept with their bytes when they are asked for', () => {
    const fields = reading(twoTaggedFields).taggedFields()
    expect(fields.map(({ tag, data }) => [tag, Array.from(data)])).toEqual([
      [0, [0, 2]],
      [1, Array.from(fromHex('07666f6f626172'))],
    ])
  })

  test('known tagged fields are read, unknown ones among them are skipped', () => {
    const reader = reading(`${twoTaggedFields}ff`)
    const seen: string[] = []
    reader.knownTaggedFields({ 1: (field) => seen.push(field.string(true)), 7: () => seen.push('never') })
    expect(seen).toEqual(['foobar'])
    expect(reader.int8()).toBe(-1)
  })

  test('skipped tagged fields leave the reader behind them', () => {
    const reader = reading(`${twoTaggedFields}ff`)
    reader.skipTaggedFields()
    expect(reader.int8()).toBe(-1)
  })

  test('a known tagged field cannot read over its end, nor leave bytes', () => {
    const longer = reading('01 00 02 0002 0003')
    expect(refusal(() => longer.knownTaggedFields({ 0: (field) => field.int32() }))).toMatch(
      /int32 of 4 bytes at byte 3, where only 2 are left/,
    )
    const shorter = reading('01 00 02 0002 0003')
    expect(refusal(() => shorter.knownTaggedFields({ 0: (field) => field.int8() }))).toMatch(
      /1 bytes are left over at byte 4/,
    )
  })
})

describe('a hostile length', () => {
  // The largest number that each form can say, in front of three bytes.
  const hostile: readonly (readonly [what: string, hex: string, read: (reader: Reader) => unknown, says: RegExp])[] = [
    ['string', '7fff 000000', (r) => r.string(false), /string of 32767 bytes at byte 2, where only 3 are left/],
    ['compact string', 'ffffffff0f 000000', (r) => r.string(true), /string of 4294967294 bytes at byte 0/],
    ['string that is negative', 'fffe 000000', (r) => r.nullableString(false), /string of -2 bytes at byte 0/],
    ['bytes', '7fffffff 000000', (r) => r.bytes(false), /bytes of 2147483647 bytes at byte 4, where only 3 are left/],
    ['compact bytes', 'ffffffff0f 000000', (r) => r.bytes(true), /bytes of 4294967294 bytes at byte 5, where only 3/],
    ['bytes that are negative', '80000000 000000', (r) => r.nullableBytes(false), /length of -2147483648 at byte 0/],
    ['records', '7fffffff 000000', (r) => r.records(false), /records of 2147483647 bytes at byte 4, where only 3/],
    ['compact records', '8080808008 000000', (r) => r.records(true), /records of 2147483647 bytes at byte 5/],
    ['array', '7fffffff 000000', (r) => r.array(false, () => r.int8()), /array of 2147483647 elements at byte 0/],
    [
      'compact array',
      'ffffffff0f 000000',
      (r) => r.array(true, () => r.int8()),
      /array of 4294967294 elements at byte 0/,
    ],
    ['array that is negative', 'fffffffe 000000', (r) => r.nullableArray(false, () => 0), /length of -2 at byte 0/],
    [
      'number of tagged fields',
      'ffffffff0f 000000',
      (r) => r.taggedFields(),
      /tagged fields of 4294967295 elements at byte 0/,
    ],
    ['kept tagged field', '01 00 ffffffff0f 00', (r) => r.taggedFields(), /bytes of 4294967295 bytes at byte 7/],
    ['skipped tagged field', '01 00 ffffffff0f 00', (r) => r.skipTaggedFields(), /tagged field 0 of 4294967295 bytes/],
    ['known tagged field', '01 00 ffffffff0f 00', (r) => r.knownTaggedFields({}), /tagged field 0 of 4294967295 bytes/],
    ['uuid', '000000', (r) => r.uuid(), /uuid of 16 bytes at byte 0, where only 3 are left/],
    ['int64', '000000', (r) => r.int64(), /int64 of 8 bytes at byte 0, where only 3 are left/],
  ]

  test.each(hostile)('of a %s is refused with its offset', (_what, hex, read, says) => {
    expect(refusal(() => read(reading(hex)))).toMatch(says)
  })

  test('allocates nothing: a thousand of each need no more than their errors do', () => {
    // Were one of them believed, it would be gigabytes; what is counted in the heap here is the errors' own few kilobytes.
    const before = process.memoryUsage()
    for (let turn = 0; turn < 1000; turn++) for (const [, hex, read] of hostile) refusal(() => read(reading(hex)))
    const after = process.memoryUsage()
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(64 << 20)
    expect(after.heapUsed - before.heapUsed).toBeLessThan(512 << 20)
  })

  test('of an array whose elements run out stops at the first that is missing', () => {
    let elements = 0
    const reader = new Reader(bytes().int32(1000).fill(0, 1000).done())
    const read = () => reader.array(false, () => [elements++, reader.int32()])
    expect(refusal(read)).toMatch(/int32 of 4 bytes at byte 1004, where only 0 are left/)
    expect(elements).toBe(251)
  })
})

describe('the bounds of a reader', () => {
  test('bytes behind its end are not there', () => {
    const reader = new Reader(fromHex('0102030405'), 1, 3)
    expect([reader.offset, reader.remaining]).toEqual([1, 2])
    expect(refusal(() => reader.int32())).toMatch(/int32 of 4 bytes at byte 1, where only 2 are left/)
    expect(reader.int16()).toBe(0x0203)
    expect(refusal(() => reader.int8())).toMatch(/at byte 3, where only 0/)
  })

  test('leftovers are counted and located', () => {
    const reader = reading('010203')
    reader.int8()
    expect(refusal(() => reader.expectEnd())).toMatch(/2 bytes are left over at byte 1/)
  })

  test('a slice is a reader of its own bytes, at the same offsets, and is then passed', () => {
    const reader = reading('0102030405')
    reader.int8()
    const slice = reader.slice(2, 'part')
    expect([slice.offset, slice.int16(), slice.remaining, reader.offset]).toEqual([1, 0x0203, 0, 3])
    expect(refusal(() => reader.slice(-1, 'part'))).toMatch(/part of -1 bytes at byte 3/)
    expect(refusal(() => reader.slice(3, 'part'))).toMatch(/part of 3 bytes at byte 3, where only 2/)
  })

  test('looking ahead passes nothing', () => {
    const reader = reading('0102')
    expect(reader.ahead().int16()).toBe(0x0102)
    expect(reader.offset).toBe(0)
  })

  test('bounds that are none are a fault of the caller', () => {
    expect(() => new Reader(fromHex('01'), 2)).toThrow(RangeError)
    expect(() => new Reader(fromHex('01'), 0, 2)).toThrow(RangeError)
  })

  test('int64 keeps all 64 bits', () => {
    expect(reading('8000000000000000').int64().equals(Long.MIN_VALUE)).toBe(true)
  })
})
