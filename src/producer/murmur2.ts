// murmur2 as Java's producer computes it: the hash that decides the partition of a record with a key.
// From: the accumulator, for every record with a key under the partitioner 'java'. To: partitioner.ts, which makes a partition of it.
// Also for users, through src/index.ts. 14 ns for a key of 16 bytes, 48 with BigInt (bench/micro/murmur2.ts).
import { kafkaError } from '../errors.ts'

const SEED = 0x9747b28c | 0
const MULTIPLIER = 0x5bd1e995

/** What `murmur2Ascii` answers for text that is not ASCII. No hash has this value: it does not fit into 32 bits. */
export const NOT_ASCII = 0x1_0000_0000

/** The hash of the bytes from `start` up to `end`, as the signed 32-bit number that Java's `Utils.murmur2` gives. */
export function murmur2(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  const length = end - start
  let hash = SEED ^ length
  const wordsEnd = start + (length & ~3)
  let at = start
  for (; at < wordsEnd; at += 4) {
    let word = Math.imul(
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24),
      MULTIPLIER,
    )
    word = Math.imul(word ^ (word >>> 24), MULTIPLIER)
    hash = Math.imul(hash, MULTIPLIER) ^ word
  }
  if (at < end) {
    let rest = bytes[at]!
    if (at + 1 < end) rest |= bytes[at + 1]! << 8
    if (at + 2 < end) rest |= bytes[at + 2]! << 16
    hash = Math.imul(hash ^ rest, MULTIPLIER)
  }
  return finish(hash)
}

/**
 * The hash of an ASCII string's bytes, without making them, or `NOT_ASCII`: then encode the string as UTF-8 and hash the bytes.
 * Whether it is ASCII is only looked at once, at the end: nearly every key is.
 */
export function murmur2Ascii(text: string): number {
  const length = text.length
  let hash = SEED ^ length
  let codes = 0
  const wordsEnd = length & ~3
  let at = 0
  for (; at < wordsEnd; at += 4) {
    const a = text.charCodeAt(at)
    const b = text.charCodeAt(at + 1)
    const c = text.charCodeAt(at + 2)
    const d = text.charCodeAt(at + 3)
    codes |= a | b | c | d
    let word = Math.imul(a | (b << 8) | (c << 16) | (d << 24), MULTIPLIER)
    word = Math.imul(word ^ (word >>> 24), MULTIPLIER)
    hash = Math.imul(hash, MULTIPLIER) ^ word
  }
  if (at < length) {
    let rest = 0
    for (let shift = 0; at < length; at++, shift += 8) {
      const code = text.charCodeAt(at)
      codes |= code
      rest |= code << shift
    }
    hash = Math.imul(hash ^ rest, MULTIPLIER)
  }
  return codes > 127 ? NOT_ASCII : finish(hash)
}

/**
 * The partition of a topic with `partitionCount` partitions to which Java's producer sends a record with this key, and so does
 * kafka-wire by default. A string counts as its UTF-8 bytes.
 * @throws KafkaError `INVALID_PARTITION` when `partitionCount` is not a whole number above 0.
 */
export function javaPartitionForKey(key: Uint8Array | string, partitionCount: number): number {
  if (!Number.isInteger(partitionCount) || partitionCount < 1) {
    throw kafkaError('INVALID_PARTITION', `a topic has one partition or more, not ${partitionCount}`)
  }
  let hash = typeof key === 'string' ? murmur2Ascii(key) : murmur2(key)
  if (hash === NOT_ASCII) hash = murmur2(Buffer.from(key as string, 'utf8'))
  return javaKeyed(hash, partitionCount)
}

/** The same from the hash. Over all partitions, those without a leader too: a key keeps its partition whatever happens. */
export function javaKeyed(hash: number, partitionCount: number): number {
  // The sign is masked off, not shifted out or negated: `>>> 0` gives other partitions wherever the count is no power of two.
  return (hash & 0x7fffffff) % partitionCount
}

function finish(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER)
  return hash ^ (hash >>> 15)
}
