// Presets: the two ends of the scale, as options to spread into your own. Each says only where it leaves the defaults and why.
// From: the user: new Producer({ bootstrapServers, ...presets.neverLose }). To: options.ts, which checks them like any others.

import type { ProducerOptions } from './types.ts'

/**
 * Payments: no record lost, none twice, order kept, and half a second for each at a million records a second.
 *
 * A `send` that finds the buffer full waits, and every record ends with an acknowledgement by all in-sync replicas or with an error.
 * "None twice" holds for the life of one producer: whoever sends again after an error with `persisted: 'possibly'` may make a duplicate.
 */
const neverLose = {
  acks: 'all',
  enableIdempotence: true,
  maxInFlightRequestsPerConnection: 5,
  // 5 ms of the 500: enough to fill batches at a rate at which filling them matters.
  lingerMs: 5,
  batchSize: 131_072,
  // A million records of 100 bytes a second are 100 MB/s: room for a second in which a leader moves.
  bufferMemory: 134_217_728,
  overflow: 'reject',
} as const satisfies Partial<ProducerOptions>

/**
 * Clicks: nobody waits, memory stays as it is. For `enqueue`: when the cluster is away the oldest records are dropped and counted
 * (`recordDroppedTotal`). A retry may write a record twice.
 */
const neverBlock = {
  acks: 1,
  enableIdempotence: false,
  overflow: 'drop-oldest',
  // A `send` beside it fails at once when there is no room: it gets no place in a line.
  maxWaitingSends: 0,
  // Some delay costs nothing here, and fuller batches cost the brokers less.
  lingerMs: 50,
  // Old clicks are worth little: they make room after half a minute at the latest.
  deliveryTimeoutMs: 30_000,
  requestTimeoutMs: 10_000,
} as const satisfies Partial<ProducerOptions>

/** Plain constant objects to spread; what stands behind them in the same object wins. */
export const presets = Object.freeze({ neverLose: Object.freeze(neverLose), neverBlock: Object.freeze(neverBlock) })
