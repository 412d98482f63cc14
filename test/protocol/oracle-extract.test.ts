// Recorded answers of Kafka's own codec (test/support/oracle/extract.ts): what test/oracle asks with Java is asked here without.
import { readFileSync } from 'node:fs'
import type Long from 'long'
import { describe, expect, test } from 'vitest'
import { murmur2 } from '../../src/producer/murmur2.ts'
import { brokerErrors } from '../../src/protocol/error-codes.ts'
import type { RecordToEncode } from '../../src/protocol/record.ts'
import { decodeRecordBatches, type EncodeOptions, encodeRecordBatch } from '../../src/protocol/record-batch.ts'
import { messageKind, messageKinds } from '../support/arbitraries.ts'
import { fromHex, toHex } from '../support/byte-builder.ts'
import { fromKafkaJson } from '../support/oracle/kafka-json.ts'

interface Extract {
  readonly kafkaClients: string
  readonly messages: readonly { type: string; version: number; hex: string; message: unknown }[]
  readonly batches: readonly {
    readonly hex: string
    readonly options: EncodeOptions
    readonly records: readonly {
      readonly timestamp: Long
      readonly key: string | null
      readonly value: string | null
      readonly headers: readonly { readonly key: string; readonly value: string | null }[]
    }[]
  }[]
  readonly hashes: readonly { readonly key: string; readonly hash: number }[]
  readonly errors: readonly unknown[]
}

const text = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')
const extract = fromKafkaJson(text('../vectors/oracle.json')) as Extract
const bytesOrNull = (hex: string | null): Uint8Array | null => (hex === null ? null : fromHex(hex))

test('it was recorded with the Kafka that test/oracle asks', () => {
  expect(text('../support/oracle/pom.xml')).toContain(
    `<artifactId>kafka-clients</artifactId>\n      <version>${extract.kafkaClients}</version>`,
  )
})

describe.each(messageKinds.flatMap((kind) => kind.versions.map((version) => [kind.name, version] as const)))(
  '%s v%s',
  (type, version) => {
    test("has Kafka's bytes, and is read from them", () => {
      const kind = messageKind(type)
      const recorded = extract.messages.filter((each) => each.type === type && each.version === version)
      expect(recorded.length).toBe(3)
      for (const { hex, message } of recorded) {
        expect(toHex(kind.encode(message, version))).toBe(hex)
        expect(kind.decode(fromHex(hex), version)).toEqual(message)
      }
    })
  },
)

test("a record batch has Kafka's bytes, and is read from them", () => {
  expect(extract.batches.length).toBe(16)
  for (const { hex, options, records } of extract.batches) {
    const toEncode = records.map(
      ({ timestamp, key, value, headers }): Required<RecordToEncode> => ({
        timestamp,
        key: bytesOrNull(key),
        value: bytesOrNull(value),
        headers: headers.map((header) => ({ key: header.key, value: bytesOrNull(header.value) })),
      }),
    )
    expect(toHex(encodeRecordBatch(toEncode, options))).toBe(hex)
    const [batch] = decodeRecordBatches(fromHex(hex))
    expect(batch!.records!.map(({ key, value, headers }) => ({ key, value, headers }))).toEqual(
      toEncode.map(({ key, value, headers }) => ({ key, value, headers })),
    )
    const appended = options.logAppendTimeMs === undefined ? undefined : Number(options.logAppendTimeMs)
    expect(batch!.records!.map((record) => record.timestamp.toNumber())).toEqual(
      records.map((record) => appended ?? record.timestamp.toNumber()),
    )
  }
})

test("a key has Kafka's hash", () => {
  expect(extract.hashes.length).toBe(120)
  expect(extract.hashes.map(({ key }) => murmur2(fromHex(key)))).toEqual(extract.hashes.map(({ hash }) => hash))
})

test("the errors are Kafka's, with the same flags, and no others", () => {
  expect(brokerErrors.map(({ meaning: _, ...error }) => error)).toEqual(extract.errors)
})
