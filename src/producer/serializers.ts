// Serializers that come with the package. A serializer is any function (value, topic, headers) => Uint8Array | string | null.
// From: the user, who passes one as keySerializer or valueSerializer. To: producer.ts, which calls it for all but null, and makes
// what it throws the cause of SERIALIZATION_FAILED.

import type { Serializer } from './types.ts'

/** Text as UTF-8. Half of a surrogate pair becomes U+FFFD, as everywhere in Node. */
export const stringSerializer: Serializer<string> = (value) => {
  if (typeof value === 'string') return value
  throw new TypeError(`stringSerializer takes a string, and this is ${kindOf(value)}`)
}

/** `JSON.stringify`. What it has no text for (undefined, a function, a symbol, a BigInt, a cycle) fails the record. */
export const jsonSerializer: Serializer<unknown> = (value) => {
  const text: string | undefined = JSON.stringify(value)
  if (text !== undefined) return text
  throw new TypeError(`jsonSerializer has no JSON for ${kindOf(value)}`)
}

/** Bytes as they are: a Uint8Array (a Buffer is one), or the bytes under an ArrayBuffer or any other view of one. */
export const bytesSerializer: Serializer<Uint8Array | ArrayBuffer | DataView> = (value: unknown) => {
  if (value instanceof Uint8Array) return value
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  throw new TypeError(`bytesSerializer takes bytes, and this is ${kindOf(value)}`)
}

const kindOf = (value: unknown): string => (Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`)
