// The sender's view of one broker: its connection for Produce, and the partitions that may have something to send over it.
// From: sender.ts. To: net/lane.ts. Decides *when* a request leaves; request.ts decides what is in it.

import type { Lane } from '../net/lane.ts'
import type { Partition } from './partition.ts'
import type { FlyingRequest } from './request.ts'

/**
 * What may leave now. With `lingerMs: 0` a lane on which nothing flies sends everything at once; while something flies, records are
 * gathered: full batches leave from `GATHER_BYTES` on, part-filled ones with the next answer or `GATHER_MS` after the last request.
 */
export type SendWindow = 'everything' | 'full' | 'nothing'

// Measured (bench/throughput): requests below 256 KiB cost more system time a record, waits above 1 ms are seen in the latency.
export const GATHER_BYTES = 262_144
export const GATHER_MS = 1

export class SenderLane {
  readonly net: Lane
  /** Partitions with something to send, in the order they are served; the start rotates. */
  due: Partition[] = []
  /** Requests whose bytes the socket may still read. */
  readonly unwritten = new Set<FlyingRequest>()
  lastRequestAt = Number.NEGATIVE_INFINITY
  /** An answer came since the last request: part-filled batches need not wait any longer. */
  isAnswered = true
  /** When the adaptive partitioner last saw it take a request, and when it last had one to give. */
  drainedAt = 0
  readyAt = 0

  constructor(net: Lane) {
    this.net = net
  }

  add(partition: Partition): void {
    if (partition.isDue) return
    partition.isDue = true
    this.due.push(partition)
  }

  remove(partition: Partition): void {
    if (!partition.isDue) return
    partition.isDue = false
    this.due = this.due.filter((other) => other !== partition)
  }

  /** Leaves out partitions whose records have settled while they waited. */
  dropIdle(): void {
    for (const partition of this.due) if (!partition.hasSomething) partition.isDue = false
    this.due = this.due.filter(({ isDue }) => isDue)
  }

  canSend(now: number, maxInFlight: number): boolean {
    return this.net.canSend(now, maxInFlight)
  }

  window(now: number, fullBytes: number): SendWindow {
    if (this.net.flyingCount === 0 || this.isAnswered || now >= this.lastRequestAt + GATHER_MS) return 'everything'
    return fullBytes >= GATHER_BYTES ? 'full' : 'nothing'
  }
}
