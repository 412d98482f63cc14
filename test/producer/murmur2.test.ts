import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { javaKeyed, javaPartitionForKey, murmur2, murmur2Ascii, NOT_ASCII } from '../../src/producer/murmur2.ts'

const utf8 = (text: string) => Buffer.from(text, 'utf8')

// Signed, as Java prints them. Sources: Kafka's UtilsTest.testMurmur2 (the first six), kafka-python's test_partitioner with the full
// value recomputed, librdkafka's rdmurmur2.c (the last two, unsigned there).
const textAnswers: readonly (readonly [text: string, hash: number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
  ['', 275646681],
  ['a', -1563381124],
  ['ab', 316155434],
  ['123456789', -1822237082],
  ['foo', 597841616],
  ['key-0', 29210041],
  ['key-1', 193331640],
  ['\u0000 ', 1121897742],
  ['kafka', 0xd067cf64 | 0],
  ['giberish123456789', 0x8f552b0c | 0],
]

/** The same from its definition, with integers of any size: the judge. */
function murmur2ByDefinition(bytes: Uint8Array): number {
  const low32 = (value: bigint) => BigInt.asUintN(32, value)
  const m = 0x5bd1e995n
  let hash = low32(0x9747b28cn ^ BigInt(bytes.length))
  let at = 0
  for (; at + 4 <= bytes.length; at += 4) {
    let word = low32(BigInt(Buffer.from(bytes).readUInt32LE(at)) * m)
    word = low32((word ^ (word >> 24n)) * m)
    hash = low32(hash * m) ^ word
  }
  if (at < bytes.length) {
    for (let i = bytes.length - 1; i >= at; i--) hash ^= BigInt(bytes[i]!) << BigInt(8 * (i - at))
    hash = low32(hash * m)
  }
  hash = low32((hash ^ (hash >> 13n)) * m)
  return Number(BigInt.asIntN(32, hash ^ (hash >> 15n)))
}

describe('murmur2', () => {
  test.each(textAnswers)('of the bytes of %j is what Java answers', (text, hash) => {
    expect(murmur2(utf8(text))).toBe(hash)
  })

  test('takes bytes above 127 as unsigned', () => {
    expect(murmur2(Uint8Array.of(0xa4))).toBe(367232046)
    expect(murmur2(new Uint8Array(1000).fill(0x81))).toBe(-525506620)
  })

  test('hashes a part of the bytes as if it stood alone', () => {
    const bytes = utf8('..foobar...')
    expect(murmur2(bytes, 2, 8)).toBe(-790332482)
    expect(murmur2(utf8('...abc'), 3)).toBe(479470107)
    expect(murmur2(bytes, 4, 4)).toBe(275646681)
  })

  test('agrees with the definition for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 67 }), (bytes) => {
        expect(murmur2(bytes)).toBe(murmur2ByDefinition(bytes))
      }),
      { numRuns: 500 },
    )
  })
})

describe('murmur2Ascii', () => {
  test.each(textAnswers)('of the string %j is the hash of its bytes', (text, hash) => {
    expect(murmur2Ascii(text)).toBe(hash)
  })

  test('agrees with the hash of the bytes for any ASCII string', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', maxLength: 70 }), (text) => {
        expect(murmur2Ascii(text)).toBe(murmur2(utf8(text)))
      }),
      { numRuns: 500 },
    )
  })

  test('says NOT_ASCII, which is no hash, wherever in the string another character stands', () => {
    expect(NOT_ASCII | 0).not.toBe(NOT_ASCII)
    for (const character of ['\u0080', 'ÿ', 'Ā', '€', '\ud83d\ude00', '\ud83d']) {
      for (let at = 0; at <= 9; at++) {
        expect(murmur2Ascii(`${'x'.repeat(at)}${character}${'y'.repeat(9 - at)}`)).toBe(NOT_ASCII)
      }
    }
    expect(murmur2Ascii('\u007f')).not.toBe(NOT_ASCII)
  })
})

describe('javaPartitionForKey', () => {
  // kafka-python's test_partitioner: (murmur2 & 0x7fffffff) % 1000.
  test.each([
    ['', 681],
    ['a', 524],
    ['ab', 434],
    ['abc', 107],
    ['123456789', 566],
    ['\u0000 ', 742],
  ])('of %j among 1000 is %i, as bytes and as a string', (key, partition) => {
    expect(javaPartitionForKey(key, 1000)).toBe(partition)
    expect(javaPartitionForKey(utf8(key), 1000)).toBe(partition)
  })

  test('spreads key-0 to key-4 over three partitions as 1, 0, 2, 2, 0', () => {
    expect([0, 1, 2, 3, 4].map((i) => javaPartitionForKey(`key-${i}`, 3))).toEqual([1, 0, 2, 2, 0])
  })

  test('takes a string as its UTF-8 bytes, lone surrogates as U+FFFD', () => {
    for (const key of ['Zürich', '東京', 'naïve-😀-key', 'lone \ud83d end']) {
      expect(javaPartitionForKey(key, 1009)).toBe(javaPartitionForKey(utf8(key), 1009))
    }
  })

  test('masks the sign of the hash off: neither an unsigned nor a negated hash gives Java\u2019s partition', () => {
    // "21" hashes to -973932308.
    expect(javaKeyed(-973932308, 7)).toBe((-973932308 & 0x7fffffff) % 7)
    expect(javaPartitionForKey('21', 7)).toBe(3)
    expect((-973932308 >>> 0) % 7).not.toBe(3)
    expect(973932308 % 7).not.toBe(3)
  })

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses %d partitions', (count) => {
    expect(() => javaPartitionForKey('key', count)).toThrow(expect.objectContaining({ code: 'INVALID_PARTITION' }))
  })
})
