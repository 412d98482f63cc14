// Messages as Kafka's own classes read and write them in JSON: int64 as plain (exact) numbers, ids of topics as URL-safe Base64, records
// as Base64. From: the oracle tier and its recorded answers. To: messages as src/protocol has them.
import Long from 'long'

const INT64_FIELDS: ReadonlySet<string> = new Set([
  'baseOffset',
  'lastOffset',
  'offset',
  'timestamp',
  'maxTimestamp',
  'logAppendTimeMs',
  'logStartOffset',
  'producerId',
  'finalizedFeaturesEpoch',
])

// Node has both; the standard library of TypeScript does not know them yet.
const exactJson = JSON as unknown as {
  rawJSON(text: string): unknown
  parse(text: string, revive: (key: string, value: unknown, context: { source: string }) => unknown): unknown
}

/** On one line. */
export function toKafkaJson(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key: string, given: unknown) {
    // A Buffer is asked for its own JSON before it gets here.
    const field = this[key]
    if (field instanceof Long) return exactJson.rawJSON(field.toString())
    if (typeof field === 'bigint') return exactJson.rawJSON(field.toString())
    if (field instanceof Uint8Array) return Buffer.from(field).toString(key === 'topicId' ? 'base64url' : 'hex')
    if (key === 'records' && isSegments(field)) return Buffer.concat(field).toString('base64')
    return given
  })
}

/** A message of Kafka's, with `Long` and bytes where src/protocol has them. */
export function fromKafkaJson(text: string): unknown {
  return exactJson.parse(text, (key, value, context) => {
    if (INT64_FIELDS.has(key) && typeof value === 'number') return Long.fromString(context.source)
    if (key === 'topicId' && typeof value === 'string') return new Uint8Array(Buffer.from(value, 'base64url'))
    if (key === 'records' && typeof value === 'string') return [new Uint8Array(Buffer.from(value, 'base64'))]
    return value
  })
}

const isSegments = (value: unknown): value is Uint8Array[] =>
  Array.isArray(value) && value.length > 0 && value.every((item) => item instanceof Uint8Array)
