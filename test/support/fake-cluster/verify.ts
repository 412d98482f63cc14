// Verify: what the logs hold against what was sent: nothing lost, nothing twice, everything in order.
// From: fake-cluster.ts for the test.
import type { StoredRecord } from './partition-log.ts'

/** Values that were sent to a partition, in the order of the calls. Each value stands for one record. */
export interface SentToPartition {
  readonly topic: string
  readonly partition: number
  readonly values: readonly string[]
}

/** Each as `topic-partition: value`. */
export interface LogFaults {
  readonly lost: readonly string[]
  readonly doubled: readonly string[]
  /** Stands in the log before one that was sent earlier. */
  readonly outOfOrder: readonly string[]
  /** In the log, and nobody sent it there. */
  readonly unexpected: readonly string[]
}

export const NO_FAULTS: LogFaults = { lost: [], doubled: [], outOfOrder: [], unexpected: [] }

export function verifyPartition(sent: SentToPartition, records: readonly StoredRecord[]): LogFaults {
  const name = (value: string) => `${sent.topic}-${sent.partition}: ${value}`
  const ranks = new Map(sent.values.map((value, rank) => [value, rank]))
  if (ranks.size !== sent.values.length) throw new Error('values must be unique within a partition to be told apart')
  const seen = new Set<string>()
  const doubled: string[] = []
  const outOfOrder: string[] = []
  const unexpected: string[] = []
  let highestRank = -1
  for (const record of records) {
    const value = record.value?.toString('utf8') ?? ''
    const rank = ranks.get(value)
    if (rank === undefined) unexpected.push(name(value))
    else if (seen.has(value)) doubled.push(name(value))
    else {
      if (rank < highestRank) outOfOrder.push(name(value))
      highestRank = Math.max(highestRank, rank)
      seen.add(value)
    }
  }
  const lost = sent.values.filter((value) => !seen.has(value)).map(name)
  return { lost, doubled, outOfOrder, unexpected }
}

export function joinFaults(faults: readonly LogFaults[]): LogFaults {
  return {
    lost: faults.flatMap((each) => each.lost),
    doubled: faults.flatMap((each) => each.doubled),
    outOfOrder: faults.flatMap((each) => each.outOfOrder),
    unexpected: faults.flatMap((each) => each.unexpected),
  }
}
