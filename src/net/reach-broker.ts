// Reach broker: whether a broker can be spoken to where the cluster says it is. That bootstrap answered says nothing about it: addresses
// that are advertised for another network are the commonest trouble of all, and `connect` should show them.
// From: cluster.ts. To: broker-pool.ts, lane.ts.
import { type KafkaError, kafkaError } from '../errors.ts'
import type { BrokerPool } from './broker-pool.ts'
import type { Lane } from './lane.ts'
import { advertisedFailed, closedError } from './reach-errors.ts'

/** So many are tried at the same time, however large the cluster. */
const AT_ONCE = 3

/**
 * Resolves when a lane to one of the brokers of the cluster is open, which it stays. Tries them all, again and again, until then.
 *
 * @throws What the brokers that were tried said, when the signal is aborted; CLOSED.
 */
export function reachBroker(pool: BrokerPool, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    // Each to the end when its turn is over. What the cluster lists now: a node that goes meanwhile fails like any other.
    const queue = pool.brokers.map(({ nodeId }) => nodeId)
    const tried = new Set<Lane>()

    const settle = (error: KafkaError | undefined): void => {
      unwatch()
      signal?.removeEventListener('abort', onAbort)
      if (error === undefined) resolve()
      else reject(error)
    }
    const onAbort = (): void => {
      const errors = [...tried].flatMap(({ lastError }) => lastError ?? [])
      const why = { cause: signal?.reason }
      settle(
        errors.length > 0 ? advertisedFailed(errors) : kafkaError('ABORTED', 'The wait for a broker was ended', why),
      )
    }
    const tryNext = (): void => {
      const nodeId = queue.shift()
      if (nodeId === undefined) return
      const lane = pool.lane(nodeId)
      tried.add(lane)
      lane.connect()
      if (lane.state.kind === 'open') settle(undefined)
    }
    const onLaneChange = (lane: Lane): void => {
      if (lane.state.kind === 'closed') settle(closedError())
      else if (lane.state.kind === 'open') settle(undefined)
      else if (lane.state.kind === 'backoff' && tried.has(lane)) {
        queue.push(lane.nodeId)
        tryNext()
      }
    }
    const unwatch = pool.watchLanes(onLaneChange)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) onAbort()
    else if ([...pool.lanes()].some(({ state }) => state.kind === 'open')) settle(undefined)
    else for (let count = 0; count < AT_ONCE; count++) tryNext()
  })
}
