// Metric snapshot: from what was counted to the numbers under Java's names. Pure: everything it needs is handed in.
// From: metrics.ts. To: the user, by way of metric-types.ts, which says what each number means.

import type { BrokerStats, OverallStats, Scopes, TopicStats } from './metric-scopes.ts'
import type { BrokerMetrics, Percentiles, ProducerMetrics, TopicMetrics } from './metric-types.ts'
import type { Counter, Histogram } from './stats.ts'

/** What is looked at only when a snapshot is taken. */
export interface Gauges {
  readonly requestsInFlight: number
  /** Since the last accepted metadata; 0 when there was none. */
  readonly metadataAgeMs: number
  /** `send` calls that wait for room. */
  readonly waitingSends: number
  readonly bufferTotalBytes: number
  readonly bufferAvailableBytes: number
  readonly recordsPending: number
  readonly connectionCount: number
}

/** What was counted, and over which time. */
interface Past {
  readonly all: OverallStats
  readonly topics: Scopes<TopicStats>
  readonly brokers: Scopes<BrokerStats>
  readonly window: number
  /** How far the present window and the one before it reach back. */
  readonly spanMs: number
  /** Since the producer was made. */
  readonly ageMs: number
  readonly startTimeMs: number
  /** For how long some `send` has been waiting for room by now; 0: none does. */
  readonly waitingMs: number
}

export function snapshotOf(past: Past, gauges: Gauges): ProducerMetrics {
  const { all, window, spanMs, ageMs, startTimeMs, waitingMs } = past
  const rate: Rate = (counter) => (counter.recent * 1000) / spanMs
  const idleMs = Math.max(0, spanMs - all.passTime.recent)
  return {
    recordSendRate: rate(all.recordsSent),
    recordSendTotal: all.recordsSent.total,
    recordRetryRate: rate(all.recordsRetried),
    recordRetryTotal: all.recordsRetried.total,
    recordErrorRate: rate(all.recordsFailed),
    recordErrorTotal: all.recordsFailed.total,
    recordSizeAvg: all.recordSize.average,
    recordSizeMax: all.recordSize.max,
    recordQueueTimeAvg: all.queueTime.average,
    recordQueueTimeMax: all.queueTime.max,
    recordsPerRequestAvg: all.recordsPerRequest.average,
    batchSizeAvg: all.batchSize.average,
    batchSizeMax: all.batchSize.max,
    batchSplitRate: rate(all.splits),
    batchSplitTotal: all.splits.total,
    compressionRateAvg: all.compression.average,

    requestsInFlight: gauges.requestsInFlight,
    requestRate: rate(all.requests),
    requestTotal: all.requests.total,
    requestSizeAvg: all.requestSize.average,
    requestSizeMax: all.requestSize.max,
    requestLatencyAvg: all.latency.average,
    requestLatencyMax: all.latency.max,
    responseRate: rate(all.responses),
    responseTotal: all.responses.total,
    produceThrottleTimeAvg: all.throttle.average,
    produceThrottleTimeMax: all.throttle.max,

    bufferTotalBytes: gauges.bufferTotalBytes,
    bufferAvailableBytes: gauges.bufferAvailableBytes,
    waitingThreads: gauges.waitingSends,
    // A line that is still there counts as far as it goes; one that lasted longer than the windows fills them.
    bufferpoolWaitRatio: Math.min(1, (all.lineTime.recent + waitingMs) / spanMs),
    bufferpoolWaitTimeNsTotal: toNs(all.lineTime.total + waitingMs),
    bufferExhaustedRate: rate(all.exhausted),
    bufferExhaustedTotal: all.exhausted.total,
    flushTimeNsTotal: toNs(all.flushTime.total),
    metadataWaitTimeNsTotal: toNs(all.metadataTime.total),
    metadataAge: gauges.metadataAgeMs / 1000,

    connectionCount: gauges.connectionCount,
    connectionCreationRate: rate(all.connectionsOpened),
    connectionCreationTotal: all.connectionsOpened.total,
    connectionCloseRate: rate(all.connectionsClosed),
    connectionCloseTotal: all.connectionsClosed.total,
    networkIoRate: rate(all.requests) + rate(all.responses),
    networkIoTotal: all.requests.total + all.responses.total,
    outgoingByteRate: rate(all.bytesOut),
    outgoingByteTotal: all.bytesOut.total,
    incomingByteRate: rate(all.bytesIn),
    incomingByteTotal: all.bytesIn.total,

    selectRate: rate(all.passes),
    selectTotal: all.passes.total,
    ioTimeNsAvg: each(toNs(all.passTime.recent), all.passes.recent),
    ioTimeNsTotal: toNs(all.passTime.total),
    ioRatio: Math.min(1, all.passTime.recent / spanMs),
    ioWaitTimeNsAvg: each(toNs(idleMs), all.passes.recent),
    ioWaitTimeNsTotal: toNs(Math.max(0, ageMs - all.passTime.total)),
    ioWaitRatio: idleMs / spanMs,

    ...nothingYet,

    recordDeliveredRate: rate(all.recordsDelivered),
    recordDeliveredTotal: all.recordsDelivered.total,
    recordDroppedTotal: all.dropped.total,
    recordRefusedTotal: all.refused.total,
    recordsPending: gauges.recordsPending,
    deliveryTime: percentiles(all.deliveryTimes),
    queueTime: percentiles(all.queueTimes),
    requestTime: percentiles(all.requestTimes),

    startTimeMs: startTimeMs,
    topics: past.topics.view(window, (stats) => topicMetrics(stats, rate)),
    brokers: past.brokers.view(window, (stats) => brokerMetrics(stats, rate)),
  }
}

type Rate = (counter: Counter) => number

function topicMetrics(stats: TopicStats, rate: Rate): TopicMetrics {
  return {
    recordSendRate: rate(stats.recordsSent),
    recordSendTotal: stats.recordsSent.total,
    byteRate: rate(stats.bytes),
    byteTotal: stats.bytes.total,
    compressionRate: stats.compression.average,
    recordRetryRate: rate(stats.recordsRetried),
    recordRetryTotal: stats.recordsRetried.total,
    recordErrorRate: rate(stats.recordsFailed),
    recordErrorTotal: stats.recordsFailed.total,
    recordDeliveredRate: rate(stats.recordsDelivered),
    recordDeliveredTotal: stats.recordsDelivered.total,
  }
}

function brokerMetrics(stats: BrokerStats, rate: Rate): BrokerMetrics {
  return {
    requestRate: rate(stats.requests),
    requestTotal: stats.requests.total,
    requestSizeAvg: stats.requestSize.average,
    requestSizeMax: stats.requestSize.max,
    outgoingByteRate: rate(stats.bytesOut),
    outgoingByteTotal: stats.bytesOut.total,
    responseRate: rate(stats.responses),
    responseTotal: stats.responses.total,
    incomingByteRate: rate(stats.bytesIn),
    incomingByteTotal: stats.bytesIn.total,
    requestLatencyAvg: stats.latency.average,
    requestLatencyMax: stats.latency.max,
  }
}

// What this version never does: log in, and take part in transactions.
const nothingYet = {
  successfulAuthenticationRate: 0,
  successfulAuthenticationTotal: 0,
  successfulAuthenticationNoReauthTotal: 0,
  failedAuthenticationRate: 0,
  failedAuthenticationTotal: 0,
  successfulReauthenticationRate: 0,
  successfulReauthenticationTotal: 0,
  failedReauthenticationRate: 0,
  failedReauthenticationTotal: 0,
  reauthenticationLatencyAvg: 0,
  reauthenticationLatencyMax: 0,
  txnInitTimeNsTotal: 0,
  txnBeginTimeNsTotal: 0,
  txnSendOffsetsTimeNsTotal: 0,
  txnCommitTimeNsTotal: 0,
  txnAbortTimeNsTotal: 0,
}

function percentiles(histogram: Histogram): Percentiles {
  const [p50, p95, p99, p999] = histogram.percentiles([0.5, 0.95, 0.99, 0.999])
  return { p50: p50!, p95: p95!, p99: p99!, p999: p999! }
}

const toNs = (ms: number): number => Math.round(ms * 1_000_000)

const each = (sum: number, count: number): number => (count === 0 ? 0 : sum / count)
