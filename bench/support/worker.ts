// The side of a benchmark that sends: one process a measurement, so that no client runs on code that another one warmed up or beside
// another one's garbage. From: runner.ts forks a file of bench/clients or bench/compare, which calls `serve`. To: runner.ts.

import type { Job, Report, Result } from './job.ts'
import { Latencies } from './latencies.ts'
import { makeRecords, type Records } from './records.ts'

/** A part of the job: `count` records from index `first` on. */
export interface Run extends Records {
  readonly topic: string
  readonly first: number
  readonly count: number
  readonly perCall: number
  readonly callsOut: number
  readonly latencies: Latencies
  /** Counted up by the mode as acknowledgements arrive; must be `count` when it resolves. */
  settled: number
}

export interface BenchClient {
  readonly client: string
  readonly version: string
  /** By name. Each resolves when all records of the run are acknowledged, and rejects when one of them fails. */
  readonly modes: Readonly<Record<string, (run: Run) => Promise<void>>>
  close(): Promise<unknown>
}

const PROGRESS_MS = 250

/** One record in 64 is timed: reading the clock for each would be a visible part of what is measured. */
export const isSample = (index: number): boolean => (index & 63) === 0

/** Takes one job from the parent, runs it, answers and ends the process. */
export function serve(open: (job: Job) => Promise<BenchClient>): void {
  process.once('message', (job: Job) => {
    measure(open, job).then(
      (result) => tell({ kind: 'result', result }, 0),
      (error) =>
        tell({ kind: 'failed', reason: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 1),
    )
  })
}

function tell(report: Report, exitCode: number): void {
  process.send?.(report, () => process.exit(exitCode))
}

async function measure(open: (job: Job) => Promise<BenchClient>, job: Job): Promise<Result> {
  const records = makeRecords(job.valueBytes)
  const client = await open(job)
  const mode = client.modes[job.mode]
  if (mode === undefined) throw new Error(`${client.client} has no mode ${job.mode}`)

  const run = async (phase: 'warm-up' | 'measured', first: number, count: number): Promise<Run> => {
    const { topic, perCall, callsOut } = job
    const run = { ...records, topic, first, count, perCall, callsOut, latencies: new Latencies(), settled: 0 }
    const progress = setInterval(() => process.send?.({ kind: 'progress', phase, settled: run.settled }), PROGRESS_MS)
    try {
      await mode(run)
    } finally {
      clearInterval(progress)
    }
    if (run.settled !== count) throw new Error(`${count} records were sent and ${run.settled} acknowledged`)
    return run
  }

  await run('warm-up', 0, job.warmup)
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  const measured = await run('measured', job.warmup, job.records)
  const seconds = (performance.now() - startedAt) / 1_000
  const cpu = process.cpuUsage(cpuBefore)
  await client.close()

  const keyed = job.mode.includes('keyed')
  return {
    client: client.client,
    version: client.version,
    acknowledged: job.warmup + job.records,
    measured: job.records,
    seconds,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    payloadBytes: job.records * (records.valueBytes + (keyed ? records.keyBytes : 0)),
    latency: measured.latencies.summary(),
    peakRssBytes: process.resourceUsage().maxRSS * 1_024,
  }
}

/** One record a call, `loops` loops of `await`: the code that most services start with. */
export async function naiveLoops(run: Run, send: (index: number) => Promise<unknown>, loops = 1_000): Promise<void> {
  let next = 0
  const loop = async (): Promise<void> => {
    while (next < run.count) {
      const index = run.first + next++
      if (isSample(index)) {
        const startedAt = performance.now()
        await send(index)
        run.latencies.record(performance.now() - startedAt)
      } else {
        await send(index)
      }
      run.settled++
    }
  }
  await Promise.all(Array.from({ length: Math.min(loops, run.count) }, loop))
}

/** `perCall` records a call, `callsOut` calls at a time. A call's time counts once. */
export async function batchedCalls(
  run: Run,
  sendBatch: (first: number, count: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const loop = async (): Promise<void> => {
    while (next < run.count) {
      const first = run.first + next
      const count = Math.min(run.perCall, run.count - next)
      next += count
      const startedAt = performance.now()
      await sendBatch(first, count)
      run.latencies.record(performance.now() - startedAt)
      run.settled += count
    }
  }
  await Promise.all(Array.from({ length: run.callsOut }, loop))
}
