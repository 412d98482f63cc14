// What every client of the benchmark sends: the same values and keys in the same order, made from a fixed seed.

const DISTINCT = 65_536
const KEY_BYTES = 16
// 64 characters picked evenly: text that a string API can carry and that hardly compresses.
const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', 'latin1')

export interface Records {
  readonly valueBytes: number
  readonly keyBytes: number
  value(index: number): Buffer
  key(index: number): Buffer
}

/** 65,536 different values of `valueBytes` each, and as many keys; indexes beyond that start over. */
export function makeRecords(valueBytes: number): Records {
  const values = slices(text(DISTINCT * valueBytes, 0x9e3779b9), valueBytes)
  const keys = slices(text(DISTINCT * KEY_BYTES, 0x85ebca6b), KEY_BYTES)
  return {
    valueBytes,
    keyBytes: KEY_BYTES,
    value: (index) => values[index & (DISTINCT - 1)]!,
    key: (index) => keys[index & (DISTINCT - 1)]!,
  }
}

function slices(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: DISTINCT }, (_, index) => bytes.subarray(index * size, (index + 1) * size))
}

/** Xorshift32: the same text on every machine. */
function text(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed | 0
  for (let at = 0; at < length; at++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[at] = ALPHABET[(state >>> 8) & 63]!
  }
  return bytes
}
