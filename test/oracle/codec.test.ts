// Kafka's own classes judge our codec, over random messages and batches. The seed is printed; ORACLE_SEED=n repeats a run.
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import Long from 'long'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { murmur2 } from '../../src/producer/murmur2.ts'
import { crc32c } from '../../src/protocol/crc32c.ts'
import { brokerErrors } from '../../src/protocol/error-codes.ts'
import { type BatchRecord, controlTypeOf, decodeRecords } from '../../src/protocol/record.ts'
import {
  ATTRIBUTES_AT,
  CRC_AT,
  decodeRecordBatches,
  encodeRecordBatch,
  RECORDS_AT,
  type RecordBatch,
} from '../../src/protocol/record-batch.ts'
import { Writer } from '../../src/protocol/writer.ts'
import { anyBatch, type MessageKind, messageKinds, nullableText } from '../support/arbitraries.ts'
import { fromHex, toHex } from '../support/byte-builder.ts'
import { Oracle, type OracleBatch, oracleAbsence } from '../support/oracle/oracle.ts'
import { batchQuestion, encodeQuestion, recordInHex } from '../support/oracle/questions.ts'

const MESSAGES_A_VERSION = 60
const BATCHES = 400

const absence = oracleAbsence()
const seed = Number(process.env['ORACLE_SEED'] ?? Math.trunc(Math.random() * 2 ** 31))
console.log(absence === undefined ? `oracle: ORACLE_SEED=${seed}` : `oracle: skipped, ${absence}`)

const sample = <T>(arbitrary: fc.Arbitrary<T>, numRuns: number): T[] => fc.sample(arbitrary, { numRuns, seed })
const atEveryVersion = messageKinds.flatMap((kind) =>
  kind.versions.map((version) => [kind.name, version, kind] as const),
)

describe.skipIf(absence !== undefined)("Kafka's own codec", () => {
  let oracle: Oracle

  beforeAll(async () => {
    oracle = await Oracle.start()
  })

  afterAll(async () => {
    await oracle?.close()
  })

  describe.each(atEveryVersion)('on %s v%s', (type, version, kind) => {
    test('writes the same bytes, and we read what it wrote', async () => {
      const messages = sample(kind.any, MESSAGES_A_VERSION).map((message) => kind.cut(message, version))
      const answers = await oracle.askAll(messages.map((message) => encodeQuestion(kind, version, message)))
      for (const [index, message] of messages.entries()) {
        const { hex, ...refusal } = answers[index]!
        expect(refusal).toEqual({})
        expect(toHex(kind.encode(message, version))).toBe(hex)
        expect(kind.decode(fromHex(hex!), version)).toEqual(message)
      }
    })

    test('reads what we wrote', async () => {
      const messages = sample(kind.any, MESSAGES_A_VERSION).map((message) => kind.cut(message, version))
      const ours = messages.map((message) => toHex(kind.encode(message, version)))
      const read = await oracle.askAll(ours.map((hex) => ({ ask: 'decode', type, version, hex })))
      const again = await oracle.askAll(
        read.map(({ message }, index) => ({
          ask: 'encode',
          type,
          version,
          fields: version,
          message: withRecordsOf(messages[index], message),
        })),
      )
      expect(again.map(({ hex }) => hex)).toEqual(ours)
    })

    test('drops or refuses the same fields where the version lacks them', async () => {
      const messages = sample(kind.any, MESSAGES_A_VERSION)
      const answers = await oracle.askAll(messages.map((message) => encodeQuestion(kind, version, message)))
      expect(messages.map((message) => encodedOrRefused(kind, message, version))).toEqual(
        answers.map(({ hex }) => hex ?? 'refused'),
      )
    })
  })

  test('writes the same request headers and response headers', async () => {
    for (const clientId of sample(nullableText, 50)) {
      const header = { requestApiKey: 3, requestApiVersion: 9, correlationId: -5, clientId }
      const ours = new Writer().int16(3).int16(9).int32(-5).nullableString(clientId, false).finish()
      const [v1, v2] = await oracle.askAll(
        [1, 2].map((version) => ({ ask: 'encode', type: 'RequestHeader', version, fields: version, message: header })),
      )
      expect([v1!.hex, v2!.hex]).toEqual([toHex(ours), `${toHex(ours)}00`])
    }
    const answers = await oracle.askAll(
      [0, 1].map((version) => ({
        ask: 'encode',
        type: 'ResponseHeader',
        version,
        fields: version,
        message: { correlationId: 7 },
      })),
    )
    expect(answers.map(({ hex }) => hex)).toEqual(['00000007', '0000000700'])
  })

  test('writes the same record batches, and we read what it wrote', async () => {
    const batches = sample(anyBatch, BATCHES)
    const answers = await oracle.askAll(batches.map((batch) => batchQuestion(batch)))
    for (const [index, batch] of batches.entries()) {
      const { hex, ...refusal } = answers[index]!
      expect(refusal).toEqual({})
      expect(toHex(encodeRecordBatch(batch.records, batch.options))).toBe(hex)
      const [read] = decodeRecordBatches(fromHex(hex!))
      expect(read!.records!.map(withoutOffset)).toEqual(
        batch.records.map((record) => ({ ...record, timestamp: timestampIn(read!, record.timestamp) })),
      )
    }
  })

  test('reads the record batches that we wrote, several in a row', async () => {
    const batches = sample(anyBatch, BATCHES)
    const written = batches.map((batch) => Buffer.from(encodeRecordBatch(batch.records, batch.options)))
    const rows = Array.from({ length: BATCHES / 4 }, (_, row) => Buffer.concat(written.slice(row * 4, row * 4 + 4)))
    const answers = await oracle.askAll(rows.map((row) => ({ ask: 'batches', hex: toHex(row) })))
    for (const [index, row] of rows.entries()) {
      const theirs = answers[index]!.batches!
      expect(theirs.length).toBe(4)
      expect(theirs.every((batch) => batch.isValid)).toBe(true)
      expect(decodeRecordBatches(row).map(asKafkaSays)).toEqual(theirs)
    }
  })

  test.each([
    ['gzip', gunzipSync],
    ['zstd', zstdDecompressSync],
    ['snappy', undefined],
    ['lz4', undefined],
  ])('compresses with %s, and we read header and section', async (codec, decompress) => {
    const batches = sample(anyBatch, 40)
    const answers = await oracle.askAll(batches.map((batch) => batchQuestion(batch, codec)))
    const read = answers.map(({ hex }) => decodeRecordBatches(fromHex(hex!)))
    const again = await oracle.askAll(answers.map(({ hex }) => ({ ask: 'batches', hex: hex! })))
    for (const [index, [batch]] of read.entries()) {
      const [theirs] = again[index]!.batches!
      expect([batch!.codec, batch!.records]).toEqual([codec, null])
      const records = decompress === undefined ? null : decodeRecords(decompress(batch!.recordsSection), batch!)
      const ours = asKafkaSays({ ...batch!, records })
      expect(ours).toEqual(records === null ? { ...theirs, records: [] } : theirs)
    }
  })

  test('ends transactions with control batches that we read', async () => {
    for (const [type, number] of [
      ['ABORT', 0],
      ['COMMIT', 1],
    ] as const) {
      const { hex } = await oracle.ask({ ask: 'marker', type, producerId: 4000, producerEpoch: 3 })
      const [batch] = decodeRecordBatches(fromHex(hex!))
      expect([batch!.isControl, batch!.isTransactional, batch!.producerId.toInt()]).toEqual([true, true, 4000])
      expect(controlTypeOf(batch!.records![0]!)).toEqual({ version: 0, type: number })
    }
  })

  test('reads the same in a damaged batch wherever we read anything', async () => {
    const damaged = sample(fc.tuple(anyBatch, fc.nat(), fc.nat({ max: 255 })), BATCHES).map(([batch, at, byte]) => {
      const bytes = Buffer.from(encodeRecordBatch(batch.records, batch.options))
      bytes[RECORDS_AT + (at % (bytes.length - RECORDS_AT))] = byte
      bytes.writeUInt32BE(crc32c(bytes, ATTRIBUTES_AT), CRC_AT)
      return bytes
    })
    const answers = await oracle.askAll(damaged.map((bytes) => ({ ask: 'batches', hex: toHex(bytes) })))
    let readable = 0
    for (const [index, bytes] of damaged.entries()) {
      const ours = readOrRefused(bytes)
      if (ours === undefined) continue
      readable++
      expect(ours.map(asKafkaSays).map(withoutGarble)).toEqual(answers[index]!.batches!.map(withoutGarble))
    }
    // Most changes hit a key or a value; that none would be readable is a fault of this test.
    expect(readable).toBeGreaterThan(BATCHES / 10)
  })

  test('hashes any key to the same number', async () => {
    const keys = sample(fc.oneof(fc.uint8Array({ maxLength: 9 }), fc.uint8Array({ maxLength: 300 })), 2000)
    const { hashes } = await oracle.ask({ ask: 'murmur2', keys: keys.map(toHex) })
    expect(keys.map((key) => murmur2(key))).toEqual(hashes)
    const inside = keys.map((key) => murmur2(Uint8Array.of(1, 2, 3, ...key, 4), 3, 3 + key.length))
    expect(inside).toEqual(hashes)
  })

  test('has the same errors with the same flags, and no others', async () => {
    const { errors } = await oracle.ask({ ask: 'errors' })
    expect(brokerErrors.map(({ meaning: _, ...error }) => error)).toEqual(errors)
  })
})

function encodedOrRefused(kind: MessageKind, message: unknown, version: number): string {
  try {
    return toHex(kind.encode(message, version))
  } catch (error) {
    expect(error).toEqual(expect.objectContaining({ code: 'UNSUPPORTED_VERSION' }))
    return 'refused'
  }
}

function readOrRefused(bytes: Uint8Array): RecordBatch[] | undefined {
  try {
    return decodeRecordBatches(bytes)
  } catch (error) {
    expect(error).toEqual(expect.objectContaining({ code: 'CORRUPT_MESSAGE' }))
    return undefined
  }
}

/** Our batch in the words of an answer. */
function asKafkaSays(batch: RecordBatch): OracleBatch {
  return {
    isValid: true,
    crc: batch.crc,
    codec: batch.codec,
    timestampType: batch.timestampType,
    baseOffset: batch.baseOffset,
    lastOffset: batch.baseOffset.add(batch.lastOffsetDelta),
    maxTimestamp: batch.maxTimestamp,
    partitionLeaderEpoch: batch.partitionLeaderEpoch,
    producerId: batch.producerId,
    producerEpoch: batch.producerEpoch,
    baseSequence: batch.baseSequence,
    isTransactional: batch.isTransactional,
    isControl: batch.isControl,
    sizeInBytes: batch.sizeInBytes,
    records: (batch.records ?? []).map((record) => ({ offset: record.offset, ...recordInHex(record) })),
  }
}

// Where a header's name is no UTF-8, Java and Node put replacement characters in its place, but not the same number.
function withoutGarble(batch: OracleBatch): OracleBatch {
  const clean = (name: string) => name.replaceAll(/\uFFFD+/g, '\uFFFD')
  const records = batch.records.map((record) => ({
    ...record,
    headers: record.headers.map(({ key, value }) => ({ key: clean(key), value })),
  }))
  return { ...batch, records }
}

const timestampIn = (batch: RecordBatch, timestamp: Long | number): Long =>
  batch.timestampType === 'append' ? batch.maxTimestamp : Long.fromValue(timestamp)

const withoutOffset = ({ offset: _offset, offsetDelta: _delta, ...record }: BatchRecord) => record

// Kafka's JSON of a Produce request shows no records, so that logs stay short: what it read of them is in the length of the rest.
function withRecordsOf(ours: unknown, theirs: unknown): unknown {
  const request = ours as { topicData?: { partitionData: { records: unknown }[] }[] }
  if (request.topicData === undefined) return theirs
  const answer = theirs as { topicData: { partitionData: object[] }[] }
  return {
    ...answer,
    topicData: answer.topicData.map((topic, topicIndex) => ({
      ...topic,
      partitionData: topic.partitionData.map((partition, index) => ({
        ...partition,
        records: request.topicData![topicIndex]!.partitionData[index]!.records,
      })),
    })),
  }
}
