// What the benchmark's parent (runner.ts) and its workers (worker.ts, one process a measurement) tell each other over IPC.

import type { LatencySummary } from './latencies.ts'

/** From the parent: one measurement. */
export interface Job {
  readonly bootstrapServers: string
  /** Empty, with all its leaders. */
  readonly topic: string
  /** One of the client's modes. */
  readonly mode: string
  /** Sent and acknowledged on the same producer before the clock starts. */
  readonly warmup: number
  /** Measured. */
  readonly records: number
  readonly valueBytes: number
  /** Modes that hand over many records a call: how many, and how many such calls are out at a time. */
  readonly perCall: number
  readonly callsOut: number
  /** For clients that can be either. */
  readonly idempotent: boolean
}

/** From the worker. */
export type Report =
  | { readonly kind: 'progress'; readonly phase: 'warm-up' | 'measured'; readonly settled: number }
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'failed'; readonly reason: string }

export interface Result {
  readonly client: string
  readonly version: string
  /** Acknowledged over the whole life of the process: what the log must hold. */
  readonly acknowledged: number
  /** Of these, the ones behind the figures below. */
  readonly measured: number
  /** From the first record handed over to the last one acknowledged. */
  readonly seconds: number
  readonly cpuSeconds: number
  readonly payloadBytes: number
  readonly latency: LatencySummary
  readonly peakRssBytes: number
}
