// One record's bytes, against bytes built field by field, and against a decoder that shares no code with the encoder.
import fc from 'fast-check'
import Long from 'long'
import { describe, expect, test } from 'vitest'
import {
  copyRecord,
  type Field,
  type FlatHeaders,
  fieldBytes,
  recordBytesBound,
  recordBytesMax,
  varintBytes,
  writeRecord,
  writeVarint,
  writeVarlong,
  writtenKeyBytes,
  writtenValueBytes,
} from '../../src/producer/record-encoder.ts'
import { decodeRecords } from '../../src/protocol/record.ts'
import { bytes, fromHex, toHex } from '../support/byte-builder.ts'
import { zigzagVarlongs } from '../vectors/varints.ts'

interface Given {
  readonly timestampDelta?: number
  readonly offsetDelta?: number
  readonly key?: Field
  readonly value?: Field
  readonly headers?: FlatHeaders | null
}

const utf8 = (field: string | Uint8Array): Uint8Array =>
  typeof field === 'string' ? new TextEncoder().encode(field) : field

/** The record as Kafka's format describes it, field by field. */
function expected({ timestampDelta = 0, offsetDelta = 0, key = null, value = null, headers = null }: Given) {
  const field = (content: Field) => {
    if (content === null) return bytes().varint(-1)
    const encoded = utf8(content)
    return bytes().varint(encoded.length).raw(encoded)
  }
  const body = bytes().int8(0).varint(timestampDelta).varint(offsetDelta).raw(field(key)).raw(field(value))
  body.varint((headers?.length ?? 0) / 2)
  for (const content of headers ?? []) body.raw(field(content))
  return bytes().varint(body.length).raw(body).done()
}

const CANARY = 0xa5

/**
 * Writes the record into a place that is exactly as large as promised, with other people's bytes before and behind it, and answers
 * what was written. The promise is `recordBytesBound`: what batches near their end have.
 */
function written(given: Given, isLastOfBuffer = false): Uint8Array {
  const { timestampDelta = 0, offsetDelta = 0, key = null, value = null, headers = null } = given
  const bound = recordBytesBound(key, value, headers)
  const at = 37
  const buffer = Buffer.alloc(at + bound + (isLastOfBuffer ? 0 : 53), CANARY)
  const end = writeRecord(buffer, at, timestampDelta, offsetDelta, key, value, headers)
  expect(end - at).toBeLessThanOrEqual(bound)
  expect(buffer.subarray(0, at).every((byte) => byte === CANARY)).toBe(true)
  expect(buffer.subarray(at + bound).every((byte) => byte === CANARY)).toBe(true)
  return new Uint8Array(buffer.subarray(at, end))
}

function expectExact(given: Given): void {
  const want = expected(given)
  for (const isLastOfBuffer of [false, true]) {
    const got = written(given, isLastOfBuffer)
    if (Buffer.compare(got, want) !== 0) expect(toHex(got)).toBe(toHex(want))
  }
}

describe('literal records', () => {
  test('the record of vector A: no key, the value "hello"', () => {
    expect(toHex(written({ value: 'hello' }))).toBe('16000000010a68656c6c6f00')
  })

  test('the records of vector B: headers with and without a value, then a record of nothing', () => {
    const headers = ['h1', 'x', 'h2', null]
    expect(toHex(written({ key: 'k', value: 'v', headers }))).toBe('22000000026b0276040468310278046832' + '01')
    expect(toHex(written({ timestampDelta: 5, offsetDelta: 1 }))).toBe('0c000a02010100')
  })

  test('the records of vector C: empty is not null, and a delta may be negative', () => {
    expect(toHex(written({ key: '', value: '' }))).toBe('0c000000000000')
    expect(toHex(written({ timestampDelta: -10, offsetDelta: 1, key: 'a', value: 'b' }))).toBe('100013020261026200')
  })

  test('the second record of vector V2: 168 ms take a varlong of two bytes', () => {
    expect(toHex(written({ timestampDelta: 168, offsetDelta: 1, value: '' }))).toBe('0e00d00202010000')
  })

  test('no headers, an empty list of headers and null are the same count of zero', () => {
    expect(written({ value: 'a', headers: [] })).toEqual(written({ value: 'a', headers: null }))
  })
})

describe('strings', () => {
  test.each([
    ['ASCII', 'order-4711'],
    ['two bytes a character', 'Grüße, Ærøskøbing, привет'],
    ['three bytes a character', '日本語のレコード, ₿ and \u{ffff}'],
    ['four bytes a character, a surrogate pair in the string', '😀👩‍🚀𝄞'],
    ['a mix, a zero byte and line ends', 'a\0ü\n日\r\n😀'],
  ])('%s become the same UTF-8 that TextEncoder makes', (_, text) => {
    expectExact({ key: text, value: text, headers: [text, text] })
  })

  test.each([
    ['a high half', 'a\ud83d', '61efbfbd'],
    ['a low half', '\ude00b', 'efbfbd62'],
    ['the halves in the wrong order', '\ude00\ud83d', 'efbfbdefbfbd'],
    ['a high half before a whole pair', '\ud83d😀', 'efbfbdf09f9880'],
  ])('%s of a surrogate pair on its own becomes U+FFFD, in three bytes', (_, text, hex) => {
    expect(toHex(written({ value: text })).slice(10, -2)).toBe(
      toHex(
        bytes()
          .varint(hex.length / 2)
          .hex(hex)
          .done(),
      ),
    )
    expectExact({ key: text, value: text.padStart(200, 'x'), headers: [text, text] })
  })

  // Short strings are written by a loop, longer ones by utf8Write; the limit between them differs from Node to Node (6, 10, 24).
  test('every length up to 80, in ASCII and with one other character at any place, has its exact bytes', () => {
    for (let length = 0; length <= 80; length++) {
      expectExact({ key: 'k'.repeat(length), value: 'v'.repeat(length), headers: ['h'.repeat(length), null] })
      for (const other of ['é', '€', '😀', '\ud83d']) {
        for (const place of new Set([0, length >> 1, length - 1, length])) {
          if (place < 0) continue
          const text = 'a'.repeat(place) + other + 'a'.repeat(length - place)
          expectExact({ key: null, value: text })
        }
      }
    }
  })

  test('a string of one-byte characters that are no ASCII takes two bytes for each', () => {
    for (let length = 1; length <= 70; length++)
      expectExact({ key: '\u0080'.repeat(length), value: 'ÿ'.repeat(length) })
  })
})

describe('length boundaries', () => {
  // The varint of a length grows from 63 to 64, 8191 to 8192 and 1,048,575 to 1,048,576; so does that of the record around it.
  const aroundABoundary = [
    ...Array.from({ length: 20 }, (_, i) => 48 + i),
    ...Array.from({ length: 30 }, (_, i) => 8168 + i),
  ]

  test.each(['string', 'bytes'])('lengths around 64 and 8192 have their exact bytes, as %s', (form) => {
    const content = (length: number): Field => (form === 'string' ? 'x'.repeat(length) : new Uint8Array(length).fill(7))
    for (const length of aroundABoundary) {
      expectExact({ key: null, value: content(length) })
      expectExact({ key: content(length), value: null })
      expectExact({ key: content(3), value: content(length), headers: ['name', content(5)] })
      expectExact({ key: null, value: content(1), headers: ['name', content(length)] })
      expectExact({ timestampDelta: 2 ** 50, offsetDelta: 1_000_000, key: null, value: content(length) })
      expectExact({ timestampDelta: -1, offsetDelta: 64, key: content(length), value: content(length) })
    }
  })

  test('deltas around the widths of their varints have their exact bytes', () => {
    const turns = [0, 63, 64, 8191, 8192, 1_048_575, 1_048_576, 134_217_727, 134_217_728, 2 ** 30 - 1, 2 ** 30]
    for (const timestampDelta of turns.flatMap((turn) => [turn, -turn, -turn - 1])) {
      for (const offsetDelta of turns) expectExact({ timestampDelta, offsetDelta, value: 'v' })
    }
  })

  test('a string whose characters and bytes lie on different sides of a boundary has its exact bytes', () => {
    for (const [character, size] of [
      ['é', 2],
      ['€', 3],
    ] as const) {
      for (const boundary of [64, 8192]) {
        for (let length = Math.floor(boundary / size) - 3; length <= Math.floor(boundary / size) + 3; length++) {
          expectExact({ key: character.repeat(length), value: null })
          expectExact({ key: character.repeat(length), value: character.repeat(length) })
          expectExact({ key: null, value: 'v', headers: [character.repeat(length), character.repeat(length)] })
        }
      }
    }
  })

  test.each([
    ['bytes', (length: number): Field => Buffer.alloc(length, 1)],
    ['ASCII', (length: number): Field => 'x'.repeat(length)],
    ['characters of two bytes', (length: number): Field => 'é'.repeat(length >> 1) + 'x'.repeat(length & 1)],
  ])('around 1 MiB the lengths take four bytes instead of three: %s', (_, content) => {
    for (const length of [1_048_560, 1_048_567, 1_048_568, 1_048_575, 1_048_576, 1_048_577]) {
      const got = written({ value: content(length) })
      const lengthBytes = length < 1_048_576 ? 3 : 4
      // Attributes, both deltas, the null key, the value's length, the value, no headers.
      const body = 4 + lengthBytes + length + 1
      const head = bytes().varint(body).hex('00000001').varint(length).done()
      expect(toHex(got.subarray(0, head.length))).toBe(toHex(head))
      expect(Buffer.compare(got.subarray(head.length, -1), utf8(content(length) as string))).toBe(0)
      expect(got.at(-1)).toBe(0)
    }
  })
})

describe('sizes for the metadata', () => {
  test('are those of the bytes, not of the characters, and -1 stands for null', () => {
    written({ key: 'ü', value: '日本' })
    expect([writtenKeyBytes, writtenValueBytes]).toEqual([2, 6])
    written({ key: null, value: Buffer.alloc(300) })
    expect([writtenKeyBytes, writtenValueBytes]).toEqual([-1, 300])
    written({ key: '', value: null, headers: ['name', 'a value of a header'] })
    expect([writtenKeyBytes, writtenValueBytes]).toEqual([0, -1])
    written({ key: 'x'.repeat(9000), value: 'é'.repeat(40) })
    expect([writtenKeyBytes, writtenValueBytes]).toEqual([9000, 80])
  })

  test('a header that comes last does not count as the value', () => {
    written({ key: 'abc', value: 'de', headers: ['a', 'a longer one'] })
    expect([writtenKeyBytes, writtenValueBytes]).toEqual([3, 2])
  })

  test('fieldBytes counts UTF-8, three bytes for half of a surrogate pair', () => {
    expect([null, '', 'a', 'ü', '日', '😀', '\ud83d', Buffer.alloc(5)].map(fieldBytes)).toEqual([
      0, 0, 1, 2, 3, 4, 3, 5,
    ])
  })
})

describe('varints', () => {
  const spot = 2
  const varint = (value: number) => {
    const buffer = Buffer.alloc(20, CANARY)
    const end = writeVarint(buffer, spot, value)
    return toHex(buffer.subarray(spot, end))
  }
  const varlong = (value: number) => {
    const buffer = Buffer.alloc(20, CANARY)
    const end = writeVarlong(buffer, spot, value)
    expect(buffer.subarray(end).every((byte) => byte === CANARY)).toBe(true)
    return toHex(buffer.subarray(spot, end))
  }

  const int32s = zigzagVarlongs.filter(([, value]) => value >= -(2n ** 31n) && value < 2n ** 31n)
  const doubles = zigzagVarlongs.filter(
    ([, value]) => BigInt(Number(value)) === value && value >= -(2n ** 53n) && value <= 2n ** 53n,
  )

  test.each(int32s)('%s is the varint of %s, and varintBytes knows its width', (hex, value) => {
    expect(varint(Number(value))).toBe(hex)
    expect(varintBytes(Number(value))).toBe(hex.length / 2)
  })

  test.each(doubles)('%s is the varlong of %s', (hex, value) => {
    expect(varlong(Number(value))).toBe(hex)
  })

  test('the vectors reach past 32 bits on both sides', () => {
    expect(int32s.length).toBeGreaterThanOrEqual(20)
    expect(doubles.length).toBeGreaterThan(int32s.length + 8)
  })

  const turns = [
    2 ** 30 - 1,
    2 ** 30,
    -(2 ** 30),
    -(2 ** 30) - 1,
    2 ** 31,
    -(2 ** 31) - 1,
    2 ** 34,
    2 ** 53 - 1,
    2 ** 53,
  ]
  test.each([...turns, -(2 ** 53) + 1, -(2 ** 53)])('the varlong of %d, where halves and shifts change', (value) => {
    expect(varlong(value)).toBe(toHex(bytes().varint(value).done()))
  })

  test('any whole number that a double holds has the bytes of plain 64-bit arithmetic', () => {
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeInteger(), fc.integer()), (value) => {
        expect(varlong(value)).toBe(toHex(bytes().varint(value).done()))
      }),
      { numRuns: 2000 },
    )
  })
})

// ── Any record ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const anyText = fc.oneof(
  fc.string({ maxLength: 30 }),
  fc.string({ unit: 'binary', maxLength: 30 }),
  // Any sequence of UTF-16 code units, halves of pairs included.
  fc.array(fc.nat({ max: 0xffff }), { maxLength: 40 }).map((codes) => String.fromCharCode(...codes)),
  fc.tuple(fc.constantFrom('x', 'é', '€', '😀'), fc.integer({ min: 0, max: 3000 })).map(([c, n]) => c.repeat(n)),
)
const anyContent = fc.oneof(anyText, fc.uint8Array({ maxLength: 100 }))
const anyField: fc.Arbitrary<Field> = fc.option(anyContent, { nil: null })
const anyHeaders: fc.Arbitrary<FlatHeaders | null> = fc.option(
  fc.array(fc.tuple(anyText, anyField), { maxLength: 70 }).map((pairs): Field[] => pairs.flat()),
  { nil: null },
)
const anyGiven = fc.record({
  timestampDelta: fc.oneof(fc.integer({ min: -200, max: 200 }), fc.integer(), fc.maxSafeInteger()),
  offsetDelta: fc.oneof(fc.nat({ max: 200 }), fc.nat()),
  key: anyField,
  value: anyField,
  headers: anyHeaders,
})

describe('any record', () => {
  test('has exactly the bytes that the format asks for, and touches none outside its place', () => {
    fc.assert(
      fc.property(anyGiven, (given) => expectExact(given)),
      { numRuns: 300 },
    )
  })

  test('recordBytesMax and recordBytesBound are never below what is written, and the first never below the second', () => {
    fc.assert(
      fc.property(anyGiven, (given) => {
        const { key, value, headers } = given
        const size = expected(given).length
        expect(recordBytesBound(key, value, headers)).toBeGreaterThanOrEqual(size)
        expect(recordBytesMax(key, value, headers)).toBeGreaterThanOrEqual(recordBytesBound(key, value, headers))
      }),
      { numRuns: 300 },
    )
  })

  test('is read back by the decoder as it was given, halves of surrogate pairs as U+FFFD', () => {
    fc.assert(
      fc.property(anyGiven, (given) => {
        const baseTimestamp = Long.fromNumber(1_700_000_000_000)
        const [decoded] = decodeRecords(written(given), {
          baseOffset: Long.ZERO,
          lastOffsetDelta: given.offsetDelta,
          timestampType: 'create',
          baseTimestamp,
          maxTimestamp: baseTimestamp,
          recordCount: 1,
        })
        const text = (field: Uint8Array | null) => (field === null ? null : toHex(field))
        const want = (field: Field) => (field === null ? null : toHex(utf8(field)))
        expect(decoded!.offsetDelta).toBe(given.offsetDelta)
        expect(decoded!.timestamp.subtract(baseTimestamp).toNumber()).toBe(given.timestampDelta)
        expect(text(decoded!.key)).toBe(want(given.key))
        expect(text(decoded!.value)).toBe(want(given.value))
        const headers = given.headers ?? []
        expect(decoded!.headers.map(({ key, value }) => [key, text(value)])).toEqual(
          Array.from({ length: headers.length / 2 }, (_, i) => [
            new TextDecoder('utf-8', { ignoreBOM: true }).decode(utf8(headers[i * 2] as string)),
            want(headers[i * 2 + 1]!),
          ]),
        )
      }),
      { numRuns: 300 },
    )
  })

  test('copied from elsewhere with other deltas it has the bytes that it would have had there', () => {
    fc.assert(
      fc.property(anyGiven, fc.maxSafeInteger(), fc.nat(), (given, timestampDelta, offsetDelta) => {
        const source = Buffer.from(written(given))
        const { key, value, headers } = given
        const record = expected(given)
        const rest = record.length - restStart(record)
        const want = expected({ key, value, headers, timestampDelta, offsetDelta })
        const target = Buffer.alloc(want.length + 40, CANARY)
        const end = copyRecord(source, source.length - rest, source.length, target, 20, timestampDelta, offsetDelta)
        expect(toHex(target.subarray(20, end))).toBe(toHex(want))
        expect(target.subarray(0, 20).every((byte) => byte === CANARY)).toBe(true)
        expect(target.subarray(end).every((byte) => byte === CANARY)).toBe(true)
      }),
      { numRuns: 150 },
    )
  })
})

/** Where the key's length stands: behind the record's length, the attributes and both deltas. */
function restStart(record: Uint8Array): number {
  const skip = (at: number): number => (record[at]! > 127 ? skip(at + 1) : at + 1)
  return skip(skip(skip(0) + 1))
}

describe("Java's upper bound, which maxRequestSize is compared with", () => {
  const HEADER = 61

  test('the largest value that fits into the default maxRequestSize, with an empty key, has 1,048,489 bytes', () => {
    expect(HEADER + recordBytesBound('', Buffer.alloc(1_048_489), null)).toBe(1_048_576)
    expect(HEADER + recordBytesBound('', Buffer.alloc(1_048_490), null)).toBe(1_048_577)
    expect(HEADER + recordBytesBound(null, 'x'.repeat(1_048_489), [])).toBe(1_048_576)
  })

  test('is 21, the fields with the varints of their lengths, and the number of headers', () => {
    const cases: readonly [Field, Field, FlatHeaders | null, number][] = [
      [null, null, null, 21 + 1 + 1 + 1],
      ['', '', [], 21 + 1 + 1 + 1],
      ['k', 'vv', null, 21 + 2 + 3 + 1],
      [Buffer.alloc(63), Buffer.alloc(64), null, 21 + 64 + 66 + 1],
      ['é'.repeat(32), '€', null, 21 + 66 + 4 + 1],
      ['k', 'v', ['h1', 'x', 'h2', null], 21 + 2 + 2 + 1 + 3 + 2 + 3 + 1],
      ['k', 'v', Array.from({ length: 128 }, () => 'a'), 21 + 2 + 2 + 2 + 128 * 2],
    ]
    for (const [key, value, headers, bound] of cases) expect(recordBytesBound(key, value, headers)).toBe(bound)
  })

  test('a record of the widest deltas fills the bound without passing it', () => {
    // Length 3 bytes, attributes 1, timestamp delta 8, offset delta 5: 17 of the 21 that Java reserves.
    const record = written({ timestampDelta: -(2 ** 53), offsetDelta: 2_147_483_647, value: 'x'.repeat(9000) })
    expect(recordBytesBound(null, 'x'.repeat(9000), null) - record.length).toBe(4)
  })
})

test('bytes given to the encoder are copied: changing them afterwards changes nothing', () => {
  const value = Buffer.from('abcdefghijkl')
  const buffer = Buffer.alloc(100)
  const end = writeRecord(buffer, 0, 0, 0, null, value, null)
  value.fill(0)
  expect(toHex(buffer.subarray(0, end))).toBe(toHex(fromHex('24000000011861626364656667686' + '96a6b6c00')))
})
