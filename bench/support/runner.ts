// The side of a benchmark that judges: a fresh topic a measurement, a worker process (worker.ts), and afterwards the log's end offsets,
// which alone say how many records there are. From: throughput.ts and compare/run.ts. To: report.ts.

import { fork } from 'node:child_process'
import type { KafkaCluster } from '../../test/support/kafka/cluster.ts'
import type { Job, Report, Result } from './job.ts'

// A client of another project warns of its own timers; that is neither our table's business nor its reader's.
const WORKER_ARGUMENTS = ['--disable-warning=TimeoutNegativeWarning']

export interface Case {
  /** The line in the table. */
  readonly label: string
  /** The file to fork. */
  readonly worker: URL
  readonly mode: string
  readonly records: number
  readonly warmup: number
  readonly perCall?: number
  readonly callsOut?: number
  /** Default: true. */
  readonly idempotent?: boolean
}

export interface Measurement {
  readonly label: string
  readonly round: number
  readonly result: Result
  /** By how much the log's end offsets grew over the life of the worker. */
  readonly inLog: number
}

export interface Plan {
  readonly cases: readonly Case[]
  readonly rounds: number
  readonly partitions: number
  readonly valueBytes: number
  /** A line about what is going on; `final` ones stay on the screen. */
  readonly say: (line: string, final: boolean) => void
}

/** One round of all cases after the other, so that a slow minute of the machine falls on all of them. */
export async function runRounds(kafka: KafkaCluster, plan: Plan): Promise<Measurement[]> {
  const measurements: Measurement[] = []
  for (let round = 1; round <= plan.rounds; round++) {
    for (const item of plan.cases) measurements.push(await measureCase(kafka, plan, item, round))
  }
  return measurements
}

export const isComplete = ({ result, inLog }: Measurement): boolean => inLog === result.acknowledged

async function measureCase(kafka: KafkaCluster, plan: Plan, item: Case, round: number): Promise<Measurement> {
  const name = `round ${round} of ${plan.rounds}  ${item.label}`
  plan.say(`${name}: starting`, false)
  const topic = await kafka.newTopic(plan.partitions)
  try {
    const before = await recordsIn(kafka, topic)
    const job: Job = {
      bootstrapServers: kafka.bootstrapServers,
      topic,
      mode: item.mode,
      warmup: item.warmup,
      records: item.records,
      valueBytes: plan.valueBytes,
      perCall: item.perCall ?? 1,
      callsOut: item.callsOut ?? 1,
      idempotent: item.idempotent ?? true,
    }
    const result = await runWorker(item.worker, job, (phase, settled) =>
      plan.say(`${name}: ${phase}, ${settled.toLocaleString('en')} records`, false),
    )
    const inLog = (await recordsIn(kafka, topic)) - before
    const measurement = { label: item.label, round, result, inLog }
    const rate = Math.round(item.records / result.seconds).toLocaleString('en')
    const log = isComplete(measurement)
      ? ''
      : `  BUT ${inLog} records in the log for ${result.acknowledged} acknowledged`
    plan.say(`${name}: ${rate} records/s${log}`, true)
    return measurement
  } finally {
    await kafka.deleteTopic(topic)
  }
}

async function recordsIn(kafka: KafkaCluster, topic: string): Promise<number> {
  const ends = await kafka.endOffsets(topic)
  return ends.reduce((sum, end) => sum + end, 0)
}

function runWorker(worker: URL, job: Job, onProgress: (phase: string, settled: number) => void): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = fork(worker, { execArgv: WORKER_ARGUMENTS, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    child.on('message', (report: Report) => {
      if (report.kind === 'progress') onProgress(report.phase, report.settled)
      else if (report.kind === 'result') resolve(report.result)
      else reject(new Error(`${job.mode}: ${report.reason}`))
    })
    child.once('error', reject)
    // After a result this changes nothing any more.
    child.once('exit', (code, signal) => reject(new Error(`${job.mode}: the worker ended with ${signal ?? code}`)))
    child.send(job)
  })
}
