// Messages and batches as questions for the oracle, and records as it writes them in its answers. From: test/oracle, extract.ts.
import type { BatchRecord, RecordToEncode } from '../../../src/protocol/record.ts'
import type { AnyBatch, MessageKind } from '../arbitraries.ts'
import { toHex } from '../byte-builder.ts'
import type { BatchQuestion, EncodeQuestion, OracleRecord } from './oracle.ts'

/** A message of ours, which always has all fields of the newest version. */
export function encodeQuestion(kind: MessageKind, version: number, message: unknown): EncodeQuestion {
  return { ask: 'encode', type: kind.name, version, fields: kind.versions.at(-1)!, message }
}

export function batchQuestion({ records, options }: AnyBatch, codec = 'none'): BatchQuestion {
  return {
    ask: 'batch',
    codec,
    ...options,
    logAppendTimeMs: options.logAppendTimeMs ?? null,
    records: records.map(recordInHex),
  }
}

export function recordInHex(record: RecordToEncode | BatchRecord): OracleRecord {
  return {
    timestamp: record.timestamp,
    key: hexOrNull(record.key),
    value: hexOrNull(record.value),
    headers: (record.headers ?? []).map(({ key, value }) => ({ key, value: hexOrNull(value) })),
  }
}

const hexOrNull = (bytes: Uint8Array | null): string | null => (bytes === null ? null : toHex(bytes))
