// `health()` and `metrics()`: what is looked at only when somebody asks.
// From: producer.ts. To: the user.

import type { Core } from './core.ts'
import type { ProducerHealth, ProducerMetrics } from './types.ts'

export function healthOf(core: Core): ProducerHealth {
  const { state, accumulator, pool, cluster, options, clock } = core
  let oldestAt = Number.POSITIVE_INFINITY
  let looked = 0
  for (const waiter of core.line.inOrder()) {
    oldestAt = Math.min(oldestAt, waiter.waitingSince)
    // A sendMany at the head may have begun its wait later than whoever stands behind it.
    if (++looked === 2) break
  }
  for (const batch of accumulator.unsettled) oldestAt = Math.min(oldestAt, batch.createdAt)
  let lastError = cluster.lastError ?? null
  // What a broker last said that has left the cluster stands in nobody's way.
  for (const { net } of core.sender.lanes) if (pool.has(net.nodeId)) lastError ??= net.lastError ?? null
  return {
    state: state.kind === 'failed' ? 'open' : state.kind,
    lastSuccessAt: core.lastSuccessAt,
    lastError,
    fatalError: state.kind === 'failed' ? state.error : null,
    brokersKnown: pool.brokers.length,
    brokersReachable: pool.reachableCount,
    bufferUsed: Math.min(1, accumulator.arena.used / options.bufferMemory),
    oldestUnsettledMs: oldestAt === Number.POSITIVE_INFINITY ? 0 : Math.max(0, clock.now() - oldestAt),
  }
}

export function metricsOf(core: Core): ProducerMetrics {
  const { accumulator, cluster, clock, line, options, generations } = core
  let requestsInFlight = 0
  for (const { net } of core.sender.lanes) requestsInFlight += net.flyingCount
  return core.metrics.snapshot({
    requestsInFlight,
    metadataAgeMs: cluster.lastSuccessAt === 0 ? 0 : clock.now() - cluster.lastSuccessAt,
    waitingSends: line.count,
    bufferTotalBytes: options.bufferMemory,
    bufferAvailableBytes: Math.max(0, options.bufferMemory - accumulator.arena.used),
    recordsPending: generations.outstanding,
    connectionCount: core.metrics.connectionCount,
  })
}
