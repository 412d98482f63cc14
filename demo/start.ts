// `npm start`: five records as an example sends them, then a million, into a real Kafka; what is started here is stopped here.
// Kafka comes from KAFKA_BOOTSTRAP_SERVERS, else from Java and Maven's jars, else from Docker (test/support/kafka decides).

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Screen } from '../bench/support/screen.ts'
import { describeTopic } from '../test/support/kafka/admin.ts'
import { type Availability, kafkaAvailability } from '../test/support/kafka/availability.ts'
import type { KafkaCluster } from '../test/support/kafka/cluster.ts'
import { startKafka } from '../test/support/kafka/start-kafka.ts'
import { KAFKA_RELEASES, type KafkaVersion } from '../test/support/kafka/versions.ts'
import { type BurstOutcome, burst } from './burst.ts'

const VERSION: KafkaVersion = '4.4'
const EXAMPLE = 'examples/keyed-json.ts'
const EXAMPLE_TOPIC = 'example-topic'
const EXAMPLE_RECORDS = 5
const EXAMPLE_PARTITIONS = 3
const BURST_PARTITIONS = 6
const ENDED_BY_CTRL_C = 130

const HELP = `npm start
npm start -- --records N    the size of the burst (1000000)

KAFKA_BOOTSTRAP_SERVERS=host:port npm start
                            uses a Kafka that runs already; the burst gets a topic of its own there and removes it`

const { values: options } = parseArgs({
  options: { records: { type: 'string', default: '1000000' }, help: { type: 'boolean', default: false } },
})
const screen = new Screen()
const interrupt = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (interrupt.signal.aborted) process.exit(ENDED_BY_CTRL_C)
    interrupt.abort()
  })
}

try {
  if (options.help) screen.line(HELP)
  else await demo(Number(options.records), interrupt.signal)
} catch (error) {
  if (interrupt.signal.aborted) {
    screen.line('stopped')
    // Whatever is half started ends with the process.
    process.exit(ENDED_BY_CTRL_C)
  }
  screen.line(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}

async function demo(records: number, signal: AbortSignal): Promise<void> {
  if (!Number.isInteger(records) || records < 1)
    throw new Error(`--records takes a whole number, not "${options.records}"`)
  const available = kafkaAvailability([VERSION])
  if (available.kind === 'none') throw new Error(whatToInstall(available.reason))
  const origin = originOf(available)
  screen.line(available.kind === 'external' ? origin : `starting ${origin}; the first time it is fetched`)
  await using kafka = await untilInterrupted(startKafka({ version: VERSION }), signal)

  await haveTopic(kafka, EXAMPLE_TOPIC, EXAMPLE_PARTITIONS)
  screen.line(`\n${EXAMPLE}: ${EXAMPLE_RECORDS} keyed JSON records, acks all, a callback each, flush, close`)
  const before = await recordsIn(kafka, EXAMPLE_TOPIC)
  await runExample(kafka.bootstrapServers, signal)
  await sayLog(kafka, EXAMPLE_TOPIC, before, EXAMPLE_RECORDS)

  const topic = `kafka-wire-demo-${randomBytes(4).toString('hex')}`
  await haveTopic(kafka, topic, BURST_PARTITIONS)
  try {
    screen.line(`\na burst of ${records.toLocaleString('en')} records of 100 bytes over ${BURST_PARTITIONS} partitions`)
    const { bootstrapServers } = kafka
    const outcome = await burst({ bootstrapServers, topic, records, screen, signal })
    for (const line of summary(outcome)) screen.line(line)
    screen.line(`${origin}; acks all, idempotent`)
    await sayLog(kafka, topic, 0, records)
  } finally {
    // On a cluster that stays, nothing of this does.
    if (!kafka.controlsNodes) await kafka.deleteTopic(topic)
  }
}

function originOf(available: Exclude<Availability, { kind: 'none' }>): string {
  const { release, image } = KAFKA_RELEASES[VERSION]
  if (available.kind === 'external') return `Kafka at ${available.bootstrapServers} (KAFKA_BOOTSTRAP_SERVERS)`
  return available.kind === 'jars' ? `Apache Kafka ${release}, from Maven's jars` : `Apache Kafka in Docker, ${image}`
}

function whatToInstall(reason: string): string {
  return [
    `There is no Kafka to send to: ${reason}. Any one of these is enough:`,
    '  - a Kafka that runs already:  KAFKA_BOOTSTRAP_SERVERS=host:9092 npm start',
    '  - Java 17 or later and Maven: on Debian and Ubuntu  apt-get install openjdk-17-jre-headless maven',
    '  - Docker:                     https://docs.docker.com/engine/install/',
  ].join('\n')
}

async function haveTopic(kafka: KafkaCluster, topic: string, partitions: number): Promise<void> {
  const { brokers, topic: found } = await describeTopic(kafka.nodes[0]!, topic).catch((error: Error) => {
    throw new Error(`no answer from ${kafka.bootstrapServers}: ${error.message}`, { cause: error })
  })
  if (found.partitions.length > 0) return
  await kafka.createTopic(topic, partitions, { replicationFactor: Math.min(3, brokers.size) })
}

async function recordsIn(kafka: KafkaCluster, topic: string): Promise<number> {
  const ends = await kafka.endOffsets(topic)
  return ends.reduce((sum, end) => sum + end, 0)
}

async function sayLog(kafka: KafkaCluster, topic: string, before: number, expected: number): Promise<void> {
  const there = (await recordsIn(kafka, topic)) - before
  screen.line(`log end offsets say ${there.toLocaleString('en')} records are there`)
  if (there !== expected) throw new Error(`that should be ${expected.toLocaleString('en')}`)
}

/** In a process of its own, exactly as `npm run example` runs it. */
async function runExample(bootstrapServers: string, signal: AbortSignal): Promise<void> {
  const file = fileURLToPath(new URL(`../${EXAMPLE}`, import.meta.url))
  const child = spawn(process.execPath, ['--conditions=kafka-wire-source', file], {
    env: { ...process.env, KAFKA_BOOTSTRAP_SERVERS: bootstrapServers },
    stdio: ['ignore', 'inherit', 'inherit'],
    signal,
  })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`${EXAMPLE} ended with exit code ${code}`)
}

function summary(outcome: BurstOutcome): string[] {
  const { delivered, failed, firstError, seconds, cpuSeconds, payloadBytes, wireBytes, requests, latency } = outcome
  const number = (value: number): string => value.toLocaleString('en')
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`
  const lines = [
    `${number(delivered)} records in ${seconds.toFixed(2)} s: ${(delivered / seconds / 1e6).toFixed(2)} M records/s, ` +
      `${megabytes(payloadBytes / seconds)}/s`,
    `delivery p50 ${latency.p50.toFixed(1)} ms, p99 ${latency.p99.toFixed(1)} ms, p99.9 ${latency.p999.toFixed(1)} ms, ` +
      `longest ${latency.max.toFixed(1)} ms`,
    `CPU of this process ${((cpuSeconds / delivered) * 1e6).toFixed(2)} µs a record`,
    `${megabytes(payloadBytes)} of values, ${megabytes(wireBytes)} sent in ${number(requests)} requests`,
  ]
  if (failed > 0) lines.push(`${number(failed)} failed; the first: ${firstError?.message}`)
  return lines
}

/** `work`, or the interruption when that comes first. */
function untilInterrupted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => {}
  const interruption = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort)
  })
  return Promise.race([work, interruption]).finally(() => signal.removeEventListener('abort', onAbort))
}
