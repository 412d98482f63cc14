// Reading back through Kafka's own programs: the console consumer over the network, DumpLogSegments from the files on disk.

import type { KafkaCluster } from '../kafka/cluster.ts'

export interface PrintedRecord {
  /** 'CreateTime' or 'LogAppendTime'. */
  readonly timestampType: string
  readonly timestamp: number
  readonly partition: number
  readonly offset: number
  /** 'name:value' pairs joined by commas, 'NO_HEADERS' without any. */
  readonly headers: string
  readonly key: string | null
  readonly value: string | null
}

export interface ConsoleOptions {
  /** Default: all, through a consumer group (which takes some seconds more). */
  readonly partition?: number
  /** Default: as many as there are. It stops early after 20 s without a record. */
  readonly maxMessages?: number
  /** Further properties of the formatter. */
  readonly properties?: Readonly<Record<string, string>>
}

const NULL_LITERAL = '\u2400'
const FIELDS = ['timestamp', 'partition', 'offset', 'headers', 'key', 'value'] as const

/** For keys and values that are text without tab or line feed. */
export async function consoleConsume(
  cluster: KafkaCluster,
  topic: string,
  options: ConsoleOptions = {},
): Promise<PrintedRecord[]> {
  const { partition, properties = {} } = options
  const maxMessages = options.maxMessages ?? (await countOf(cluster, topic, partition))
  if (maxMessages === 0) return []
  const formatting = {
    ...Object.fromEntries(FIELDS.map((field) => [`print.${field}`, 'true'])),
    'key.separator': '\t',
    'null.literal': NULL_LITERAL,
    ...properties,
  }
  const output = await cluster.runTool('consoleConsumer', [
    ...['--bootstrap-server', cluster.toolBootstrapServers, '--topic', topic],
    ...(partition === undefined ? ['--from-beginning'] : ['--partition', String(partition), '--offset', 'earliest']),
    ...['--max-messages', String(maxMessages), '--timeout-ms', '20000'],
    ...Object.entries(formatting).flatMap(([name, value]) => [
      cluster.toolRelease.toolOptions.formatter,
      `${name}=${value}`,
    ]),
  ])
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map(printedRecord)
}

async function countOf(cluster: KafkaCluster, topic: string, partition: number | undefined): Promise<number> {
  const ends = await cluster.endOffsets(topic)
  return partition === undefined ? ends.reduce((sum, end) => sum + end, 0) : (ends[partition] ?? 0)
}

function printedRecord(line: string): PrintedRecord {
  const fields = line.split('\t')
  if (fields.length !== FIELDS.length) throw new Error(`the console consumer printed ${JSON.stringify(line)}`)
  const [time, partition, offset, headers, key, value] = fields as [string, string, string, string, string, string]
  const [timestampType, timestamp] = time.split(':') as [string, string]
  return {
    timestampType,
    timestamp: Number(timestamp),
    partition: numberAfter('Partition:', partition),
    offset: numberAfter('Offset:', offset),
    headers,
    key: key === NULL_LITERAL ? null : key,
    value: value === NULL_LITERAL ? null : value,
  }
}

function numberAfter(label: string, text: string): number {
  return Number(text.startsWith(label) ? text.slice(label.length) : Number.NaN)
}

/** One batch as DumpLogSegments prints it; numbers that may exceed 2^53 do not occur in tests. */
export interface DumpedBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly count: number
  readonly baseSequence: number
  readonly lastSequence: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly partitionLeaderEpoch: number
  readonly isTransactional: boolean
  readonly isControl: boolean
  /** Of the batch in its file. */
  readonly position: number
  readonly timestampType: string
  /** The greatest one of its records. */
  readonly timestamp: number
  readonly size: number
  readonly magic: number
  readonly compression: string
  readonly crc: number
  /** Kafka computed the CRC again and found the same. */
  readonly isValid: boolean
  /** Empty unless asked for. */
  readonly records: readonly DumpedRecord[]
}

interface DumpedRecord {
  readonly offset: number
  readonly timestamp: number
  /** -1 for null. */
  readonly keySize: number
  readonly valueSize: number
  readonly sequence: number
  readonly headerKeys: readonly string[]
  /** As text; null where the size is -1. */
  readonly key: string | null
  readonly value: string | null
}

export interface DumpOptions {
  /** Default: true. Without them a million records take a second. */
  readonly records?: boolean
}

/** All batches that a node has on disk for a partition, from its first segment to its last. */
export async function dumpLog(
  cluster: KafkaCluster,
  nodeId: number,
  topic: string,
  partition: number,
  options: DumpOptions = {},
): Promise<DumpedBatch[]> {
  const segments = await cluster.segmentFiles(nodeId, topic, partition)
  if (segments.length === 0) throw new Error(`node ${nodeId} has no segments of ${topic}-${partition}`)
  const deep = (options.records ?? true) ? ['--deep-iteration', '--print-data-log'] : []
  const output = await cluster.runTool('dumpLogSegments', ['--files', segments.join(','), ...deep], { nodeId })
  return parseDump(output)
}

/** The text of DumpLogSegments as batches. */
function parseDump(output: string): DumpedBatch[] {
  const batches: (DumpedBatch & { records: DumpedRecord[] })[] = []
  for (const entry of output.split(/\n(?=baseOffset: |\| offset: |Dumping |Log starting offset: |Starting offset: )/)) {
    if (entry.startsWith('baseOffset: ')) batches.push(dumpedBatch(entry))
    else if (entry.startsWith('| offset: ')) batches.at(-1)?.records.push(dumpedRecord(entry))
    else if (/invalid bytes|Found \d+/.test(entry)) throw new Error(`DumpLogSegments: ${entry.trim()}`)
  }
  return batches
}

function dumpedBatch(line: string): DumpedBatch & { records: DumpedRecord[] } {
  const fields = new Map(Array.from(line.matchAll(/(\w+): (\S+)/g), ([, name, value]) => [name!, value!]))
  const text = (name: string): string => {
    const value = fields.get(name)
    if (value === undefined) throw new Error(`DumpLogSegments printed a batch without ${name}: ${line}`)
    return value
  }
  const number = (name: string) => Number(text(name))
  const timestampType = fields.has('LogAppendTime') ? 'LogAppendTime' : 'CreateTime'
  return {
    baseOffset: number('baseOffset'),
    lastOffset: number('lastOffset'),
    count: number('count'),
    baseSequence: number('baseSequence'),
    lastSequence: number('lastSequence'),
    producerId: number('producerId'),
    producerEpoch: number('producerEpoch'),
    partitionLeaderEpoch: number('partitionLeaderEpoch'),
    isTransactional: text('isTransactional') === 'true',
    isControl: text('isControl') === 'true',
    position: number('position'),
    timestampType,
    timestamp: number(timestampType),
    size: number('size'),
    magic: number('magic'),
    compression: text('compresscodec').toLowerCase(),
    crc: number('crc'),
    isValid: text('isvalid') === 'true',
    records: [],
  }
}

// "| name: value ... headerKeys: [a,b] key: K payload: V", the last two only when they are not null. 2.8 repeats the batch's fields in
// each record and in another order.
const RECORD = /^\| (.*?) headerKeys: \[(.*?)\](.*)$/s

function dumpedRecord(entry: string): DumpedRecord {
  const [, fields, headers, content] = RECORD.exec(entry.replace(/\n$/, '')) ?? []
  if (fields === undefined || content === undefined) throw new Error(`DumpLogSegments printed ${JSON.stringify(entry)}`)
  const number = (name: RegExp) => Number(name.exec(fields)?.[1])
  const keySize = number(/\bkeySize: (-?\d+)/)
  const valueSize = number(/\bvalueSize: (-?\d+)/)
  // Where the key contains the second label, its size tells.
  const key = keySize < 0 ? null : takeBytes(content.slice(' key: '.length), keySize)
  const behindKey = key === null ? content : content.slice(' key: '.length + key.length)
  return {
    offset: number(/^offset: (\d+)/),
    timestamp: number(/\b(?:CreateTime|LogAppendTime): (-?\d+)/),
    keySize,
    valueSize,
    sequence: number(/\bsequence: (-?\d+)/),
    headerKeys: headers === '' ? [] : headers!.split(','),
    key,
    value: valueSize < 0 ? null : behindKey.slice(' payload: '.length),
  }
}

function takeBytes(text: string, byteLength: number): string {
  return Buffer.from(text, 'utf8').subarray(0, byteLength).toString('utf8')
}
