// Headers: from what a user may write to names and values in turn, the form in which a record is encoded.
// From: producer.ts, for each record that has headers. To: record-encoder.ts, which takes the bytes in the same call: nothing is
// copied here, and nothing changed.

import { isUint8Array } from 'node:util/types'
import { KafkaError, kafkaError } from '../errors.ts'
import type { HeaderValue } from './types.ts'

/** `[name, value, name, value]`. Names are strings, never null: Kafka's format has no absent header name. */
type FlatHeaders = readonly HeaderValue[]

/**
 * Keeps the order and every repeat; no headers at all give null. An empty name is allowed, as in Java; so is an empty array of values,
 * which stands for none. Properties of an object that are named by a symbol are passed over, as by `JSON.stringify`.
 *
 * @throws INVALID_RECORD (`RecordError`) naming the header and what is wrong with it.
 */
export function normalizeHeaders(headers: unknown): FlatHeaders | null {
  if (headers === undefined || headers === null) return null
  const flat: HeaderValue[] = []
  try {
    addAll(flat, headers)
  } catch (error) {
    // A getter or a proxy is the caller's code, and this record is what it was asked for.
    throw error instanceof KafkaError ? error : invalid('the headers cannot be read', undefined, error)
  }
  return flat.length === 0 ? null : flat
}

function addAll(flat: HeaderValue[], headers: unknown): void {
  if (typeof headers !== 'object' || headers === null) throw unusable(headers)
  if (Array.isArray(headers)) {
    for (let index = 0; index < headers.length; index++) addPair(flat, headers[index], index)
    return
  }
  // A Map, a fetch Headers or a Buffer has its entries elsewhere: taken for a plain object it would seem to be empty.
  if (Symbol.iterator in headers) throw unusable(headers)
  for (const [name, value] of Object.entries(headers)) addNamed(flat, name, value)
}

function addPair(flat: HeaderValue[], pair: unknown, index: number): void {
  if (!Array.isArray(pair) || pair.length !== 2) {
    throw invalid(`headers[${index}] is ${kindOf(pair)}, not a pair [name, value]`)
  }
  const [name, value] = pair as readonly unknown[]
  if (typeof name !== 'string') throw invalid(`the name in headers[${index}] is ${kindOf(name)}, not a string`)
  if (Array.isArray(value)) {
    throw invalid(
      `header ${quoted(name)} has an array as its value`,
      'In the form of pairs, write the pair once for each value',
    )
  }
  flat.push(name, checked(name, value))
}

function addNamed(flat: HeaderValue[], name: string, value: unknown): void {
  if (!Array.isArray(value)) {
    flat.push(name, checked(name, value))
    return
  }
  for (let index = 0; index < value.length; index++) flat.push(name, checked(name, value[index]))
}

function checked(name: string, value: unknown): HeaderValue {
  if (typeof value === 'string' || value === null || isUint8Array(value)) return value
  throw invalid(`header ${quoted(name)} has ${kindOf(value)} as its value`, VALUE_HINT)
}

const VALUE_HINT = 'A value is a string, a Uint8Array or null; a number goes as String(value)'

function unusable(headers: unknown): KafkaError {
  const entries = headers instanceof Map ? 'Write [...headers]' : 'Write { name: value } or [[name, value]]'
  return invalid(`the headers are ${kindOf(headers)}`, entries)
}

const invalid = (message: string, hint?: string, cause?: unknown): KafkaError =>
  kafkaError('INVALID_RECORD', message, { hint, cause })

const quoted = (name: string): string => JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}…` : name)

/** Never the value itself: headers carry tokens. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return `${value}`
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value !== 'object') return `a ${typeof value}`
  const name: unknown = value.constructor?.name
  if (typeof name !== 'string' || name === '' || name === 'Object') return 'an object'
  return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`
}
