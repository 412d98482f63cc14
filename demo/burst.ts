// A million records as fast as they go, with a line of figures on the way and the sums at the end.
// From: start.ts. To: the producer, by `enqueue` and `ready`, as a user's own loop would.

import { Latencies, type LatencySummary } from '../bench/support/latencies.ts'
import { makeRecords } from '../bench/support/records.ts'
import type { Screen } from '../bench/support/screen.ts'
import { type KafkaError, Producer } from '../src/index.ts'

const VALUE_BYTES = 100
const PROGRESS_MS = 100
/** One record in 64 is timed, from `enqueue` to its callback. */
const SAMPLE_MASK = 63

export interface BurstOutcome {
  readonly delivered: number
  readonly failed: number
  readonly firstError: KafkaError | undefined
  readonly seconds: number
  readonly cpuSeconds: number
  readonly payloadBytes: number
  readonly wireBytes: number
  readonly requests: number
  readonly latency: LatencySummary
}

export interface BurstOptions {
  readonly bootstrapServers: string
  readonly topic: string
  readonly records: number
  readonly screen: Screen
  /** Ends the burst where it is. */
  readonly signal: AbortSignal
}

export async function burst({ bootstrapServers, topic, records, screen, signal }: BurstOptions): Promise<BurstOutcome> {
  const { value } = makeRecords(VALUE_BYTES)
  const producer = new Producer({ bootstrapServers })
  try {
    // The clock is for records: connections and metadata are there when it starts.
    await producer.partitionsFor(topic)

    const latencies = new Latencies()
    const handedOverAt = new Float64Array(Math.ceil(records / (SAMPLE_MASK + 1)))
    let enqueued = 0
    let delivered = 0
    let failed = 0
    let firstError: KafkaError | undefined

    const onDelivery = (error: KafkaError | null, _metadata: unknown, i: number): void => {
      if (error !== null) {
        failed++
        firstError ??= error
        return
      }
      delivered++
      if ((i & SAMPLE_MASK) === 0) latencies.record(performance.now() - handedOverAt[i >> 6]!)
    }

    const cpuBefore = process.cpuUsage()
    const before = producer.metrics()
    const startedAt = performance.now()
    const progress = startProgress(screen, records, () => ({ enqueued, delivered, failed, latencies }))
    try {
      while (enqueued < records) {
        const i = enqueued++
        if ((i & SAMPLE_MASK) === 0) handedOverAt[i >> 6] = performance.now()
        const room = producer.enqueue({ topic, value: value(i) }, onDelivery, i)
        if (!room) await producer.ready({ signal })
      }
      await producer.flush({ signal })
    } finally {
      progress.stop()
    }
    const seconds = (performance.now() - startedAt) / 1_000
    const cpu = process.cpuUsage(cpuBefore)
    const after = producer.metrics()
    return {
      delivered,
      failed,
      firstError,
      seconds,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      payloadBytes: delivered * VALUE_BYTES,
      wireBytes: after.outgoingByteTotal - before.outgoingByteTotal,
      requests: after.requestTotal - before.requestTotal,
      latency: latencies.summary(),
    }
  } finally {
    await producer.close({ timeoutMs: signal.aborted ? 500 : 30_000 })
  }
}

interface Standing {
  readonly enqueued: number
  readonly delivered: number
  readonly failed: number
  readonly latencies: Latencies
}

/** One line that keeps changing on a terminal, a plain line each time elsewhere. */
function startProgress(screen: Screen, records: number, standing: () => Standing): { stop(): void } {
  let lastDelivered = 0
  let lastAt = performance.now()
  const say = (): void => {
    const { enqueued, delivered, failed, latencies } = standing()
    const now = performance.now()
    const rate = ((delivered - lastDelivered) / (now - lastAt)) * 1_000
    lastDelivered = delivered
    lastAt = now
    const { p50, p99 } = latencies.recent()
    const inFlight = enqueued - delivered - failed
    const line =
      `${delivered.toLocaleString('en').padStart(9)} of ${records.toLocaleString('en')}  ` +
      `${(rate / 1e6).toFixed(2)} M records/s  ${((rate * VALUE_BYTES) / 1e6).toFixed(0).padStart(3)} MB/s  ` +
      `p50 ${p50.toFixed(1)} ms  p99 ${p99.toFixed(1)} ms  in flight ${inFlight.toLocaleString('en')}`
    if (screen.isTerminal) screen.live(line)
    else screen.line(line)
  }
  const timer = setInterval(say, PROGRESS_MS)
  return {
    stop() {
      clearInterval(timer)
      screen.clear()
    },
  }
}
