// Reading back (and writing) through confluent-kafka, that is librdkafka: a client that shares no code with this project, nor with
// Kafka itself. It checks the CRC of every batch it fetches.

import { fileURLToPath } from 'node:url'
import { runToEnd } from '../kafka/run.ts'
import { pythonWithClient } from './python.ts'

const SCRIPT = fileURLToPath(new URL('kafka_client.py', import.meta.url))

export interface ConsumedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestampType: 'CreateTime' | 'LogAppendTime' | null
  /** Epoch milliseconds. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[]
}

export interface ConsumeOptions {
  /** Default: all of them. */
  readonly partitions?: readonly number[]
  /** Default: 'read_uncommitted'. */
  readonly isolation?: 'read_uncommitted' | 'read_committed'
}

/** Every record of a topic up to its present end: in order within a partition, in any order between them. */
export async function pythonConsume(
  bootstrapServers: string,
  topic: string,
  options: ConsumeOptions = {},
): Promise<ConsumedRecord[]> {
  const { partitions, isolation = 'read_uncommitted' } = options
  return (await run('consume', { bootstrapServers, topic, partitions, isolation })).map((line) => {
    const record = line as EncodedRecord
    return {
      ...record,
      key: decoded(record.key),
      value: decoded(record.value),
      headers: record.headers.map(([name, value]) => [name, decoded(value)] as const),
    }
  })
}

interface EncodedRecord extends Omit<ConsumedRecord, 'key' | 'value' | 'headers'> {
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly [string, string | null][]
}

/** The value that `pythonVerify` looks for: the number in decimal, a space, and `x` up to `size` bytes. */
export function numberedValue(number: number, size: number): string {
  return `${number} `.padEnd(size, 'x')
}

export interface Verification {
  readonly records: number
  readonly missing: number
  readonly duplicates: number
  /** A record whose number is below that of an earlier one in its partition. */
  readonly outOfOrder: number
  /** Values that are not numbered, or above the count. */
  readonly strangers: number
  /** Right number, but other bytes than `numberedValue` gives. */
  readonly damaged: number
  /** Offsets that are missing between two records of a partition. */
  readonly gaps: number
  /** Records by partition. */
  readonly partitions: Readonly<Record<string, number>>
  /** The first ten faults in words. */
  readonly examples: readonly string[]
}

/** What `pythonVerify` says when nothing is wrong, for `expect(...).toMatchObject(...)`. */
export function intact(count: number) {
  const none = { missing: 0, duplicates: 0, outOfOrder: 0, strangers: 0, damaged: 0, gaps: 0 }
  return { records: count, ...none, examples: [] as string[] }
}

export interface VerifyOptions {
  readonly count: number
  /** When given, every byte is compared. */
  readonly valueSize?: number
  readonly isolation?: 'read_uncommitted' | 'read_committed'
}

/** Reads a whole topic of numbered values: a million of them in seconds, since only the summary leaves Python. */
export async function pythonVerify(
  bootstrapServers: string,
  topic: string,
  options: VerifyOptions,
): Promise<Verification> {
  const { count, valueSize, isolation = 'read_uncommitted' } = options
  const [summary] = await run('verify', { bootstrapServers, topic, count, valueSize, isolation })
  return summary as Verification
}

export interface RecordToProduce {
  readonly value: string | Uint8Array | null
  readonly key?: string | Uint8Array | null
  readonly partition?: number
  readonly headers?: readonly (readonly [name: string, value: string | Uint8Array | null])[]
}

/** Writes records with acks all and gives where each went, in the order of acknowledgement. */
export async function pythonProduce(
  bootstrapServers: string,
  topic: string,
  records: readonly RecordToProduce[],
): Promise<{ partition: number; offset: number }[]> {
  const lines = records.map(({ value, key, partition, headers = [] }) => {
    const encodedHeaders = headers.map(([name, content]) => [name, encoded(content)])
    return JSON.stringify({ value: encoded(value), key: encoded(key ?? null), partition, headers: encodedHeaders })
  })
  return (await run('produce', { bootstrapServers, topic }, lines.join('\n'))) as {
    partition: number
    offset: number
  }[]
}

async function run(mode: 'consume' | 'verify' | 'produce', task: object, input = ''): Promise<unknown[]> {
  const args = [SCRIPT, mode, JSON.stringify(task)]
  const output = await runToEnd(await pythonWithClient(), args, {
    what: `kafka_client.py ${mode}`,
    input,
    timeoutMs: 120_000,
  })
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

function encoded(data: string | Uint8Array | null): string | null {
  return data === null ? null : Buffer.from(data as Uint8Array).toString('base64')
}

function decoded(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text, 'base64')
}
