// Carries out what outcome.ts decided about a batch that is back on the ground, and ends batches whose time is over.
// From: sender.ts (answers, lost connections), producer.ts (deadlines, close, drop-oldest). To: partition.ts, recut.ts, settle-queue.ts.
//
// The walk through a failure with idempotence. Five batches b1..b5 fly. The broker refuses b2 for good, b3..b5 are answered
// OUT_OF_ORDER, since they do not follow b1. b2 settles; its sequence will never arrive, so the partition rebases: b3..b5 are back in
// `ready`, nothing of them is unclear, nothing flies, so they get epoch + 1 and sequences from 0 and go again, in order.
// Had b2 expired instead while its connection was dead, b3..b5 would be unclear: they are first repeated with their old sequences.

import { backoffMs } from '../backoff.ts'
import type { KafkaError } from '../errors.ts'
import type { Log } from '../logger.ts'
import type { BrokerError } from '../protocol/error-codes.ts'
import { RECORDS_AT } from '../protocol/record-batch.ts'
import type { Accumulator } from './accumulator.ts'
import type { Batch } from './batch.ts'
import { brokerFault, nobodyCanSay, recordFault } from './batch-errors.ts'
import type { Metrics } from './metrics.ts'
import type { Answer, Outcome } from './outcome.ts'
import { decide } from './outcome.ts'
import { HOLD_BACKOFF, type Partition } from './partition.ts'
import { RECORD_OVERHEAD_MAX } from './record-encoder.ts'
import { recut } from './recut.ts'
import { type Identity, sequenceAfter } from './sequences.ts'
import type { SettleQueue } from './settle-queue.ts'
import { SLOT_PROMISE } from './slots.ts'

export interface FateOptions {
  readonly retries: number
  readonly retryBackoffMs: number
  readonly retryBackoffMaxMs: number
  readonly random: () => number
  readonly isIdempotent: boolean
}

export interface FateHooks {
  /** The partition may be drained again, or for the first time. */
  onDrainable(partition: Partition): void
  /** Nothing of it before this instant. */
  onBackoff(partition: Partition): void
  onRefreshMetadata(reason: string): void
  onFatal(error: KafkaError): void
  /** A partition has used up the epochs of this producer id. */
  onEpochsUsedUp(identity: Identity): void
  onDelivered(): void
}

export class Fate {
  readonly #accumulator: Accumulator
  readonly #queue: SettleQueue
  readonly #options: FateOptions
  readonly #hooks: FateHooks
  readonly #metrics: Metrics
  readonly #log: Log

  constructor(
    accumulator: Accumulator,
    queue: SettleQueue,
    options: FateOptions,
    hooks: FateHooks,
    metrics: Metrics,
    log: Log,
  ) {
    this.#accumulator = accumulator
    this.#queue = queue
    this.#options = options
    this.#hooks = hooks
    this.#metrics = metrics
    this.#log = log
  }

  /** The attempt of this batch is over. `where` is the broker's name, for messages. */
  land(partition: Partition, batch: Batch, answer: Answer, where: string, now: number): void {
    const isOldest = isOldestOut(partition, batch)
    partition.land(batch)
    if (answer.kind === 'lost' && !answer.mayBeOnTheWire) batch.attempts--
    const outcome = decide(
      {
        count: batch.count,
        attempts: batch.attempts - batch.freeAttempts,
        isUnclear: batch.isUnclear,
        isOldest,
        isFollowed: batch.order < partition.sequences.acceptedOrder,
        isIdempotent: this.#options.isIdempotent,
        retries: this.#options.retries,
      },
      answer,
    )
    if (outcome.kind === 'delivered') this.#accepted(partition, batch, now)
    if (batch.state === 'ghost') this.#landGhost(partition, batch)
    else {
      if (outcome.kind === 'delivered' && isOldest) this.#proved(partition, batch, now)
      this.#carryOut(partition, batch, outcome, answer, where, now)
    }
    this.afterLanding(partition)
  }

  /** Its records settled long ago; only now are its bytes free, and the partition a step closer to its rebase. */
  #landGhost(partition: Partition, batch: Batch): void {
    batch.state = 'settled'
    this.#accumulator.releaseRegion(batch)
    if (this.#options.isIdempotent) partition.sequences.startRebase()
  }

  #carryOut(partition: Partition, batch: Batch, outcome: Outcome, answer: Answer, where: string, now: number): void {
    switch (outcome.kind) {
      case 'delivered':
        this.#deliver(batch, outcome.baseOffset, outcome.logAppendTimeMs, now)
        return
      case 'retry':
        this.#retry(partition, batch, outcome, answer, where, now)
        return
      case 'rebase':
        this.#rebase(partition, batch, outcome, answer, where, now)
        return
      case 'disown':
        this.#disown(partition, batch, outcome.error, answer, where, now)
        return
      case 'split':
        this.#log.debug(
          { topic: batch.topicName, partition: batch.partitionIndex, bytes: batch.byteLength },
          'splitting a batch',
        )
        this.#metrics.batchSplit()
        this.#split(partition, batch)
        return
      case 'sift':
        this.#sift(partition, batch, outcome.error, outcome.culprits, answer, where)
        return
      case 'fail':
        this.#refuse(partition, batch, outcome, answer, where, now)
        return
    }
  }

  #deliver(batch: Batch, baseOffset: number, logAppendTimeMs: number, now: number): void {
    this.#settle(batch, { kind: 'delivered', baseOffset, logAppendTimeMs })
    this.#hooks.onDelivered()
    this.#metrics.recordsDelivered(batch.topicName, batch.count - batch.goneCount, now - batch.createdAt)
  }

  /** What is accepted follows all that is in front of it: what the leader has disowned is in the log, and it has forgotten where. */
  #accepted(partition: Partition, batch: Batch, now: number): void {
    const { sequences } = partition
    if (batch.identity !== sequences.identity || batch.epoch !== sequences.epoch) return
    sequences.acceptedOrder = Math.max(sequences.acceptedOrder, batch.order)
    if (!sequences.isRebasing) return
    for (const earlier of partition.ready.filter((other) => other.isDisowned && other.order < batch.order)) {
      partition.remove(earlier)
      this.#deliver(earlier, -1, -1, now)
    }
  }

  /**
   * The leader has refused the sequence of the oldest batch, which may be in the log. After a restart a leader remembers nothing but the
   * last batch that it has of us, so it is asked for the unclear ones behind this, one by one: if it knows any of them, it has this one
   * too; if it knows none, it has none.
   */
  #disown(partition: Partition, batch: Batch, error: BrokerError, answer: Answer, where: string, now: number): void {
    batch.isDisowned = true
    batch.freeAttempts++
    batch.lastError = brokerFault(error, batch, answer, where, {})
    partition.putBack(batch)
    partition.sequences.startRebase()
    // Refused where an epoch begins: the next one, sent at once, would fare no better.
    if (batch.baseSequence === 0) this.#backOff(partition, batch, now)
  }

  /**
   * The leader has accepted the oldest batch. As long as an older one, or any unclear one, is still to be repeated, nothing new may
   * leave nevertheless: a leader that has stored five newer ones has forgotten that one, and would answer as if it had never come.
   */
  #proved({ sequences, ready, flying }: Partition, batch: Batch, now: number): void {
    if (batch.identity !== sequences.identity || batch.epoch !== sequences.epoch || sequences.isRebasing) return
    const isUnclear = (other: Batch): boolean => other.isUnclear
    if (!sequences.isProven && (flying.some(isUnclear) || ready.some(isUnclear))) return
    sequences.prove(now)
  }

  #retry(
    partition: Partition,
    batch: Batch,
    outcome: Extract<Outcome, { kind: 'retry' }>,
    answer: Answer,
    where: string,
    now: number,
  ): void {
    batch.isUnclear = outcome.isUnclear
    batch.lastError = brokerFault(outcome.error, batch, answer, where, {})
    if (!outcome.isCounted && answer.kind === 'answered') batch.freeAttempts++
    if (outcome.isResealed) batch.isSealed = false
    if (this.#options.isIdempotent) partition.sequences.isProven = false
    partition.putBack(batch)
    this.#metrics.recordsRetried(batch.topicName, batch.count)
    if (outcome.error.refreshMetadata) this.#hooks.onRefreshMetadata(outcome.error.name)
    if (outcome.waits) this.#backOff(partition, batch, now)
  }

  #backOff(partition: Partition, batch: Batch, now: number): void {
    const { retryBackoffMs, retryBackoffMaxMs, random } = this.#options
    const failures = Math.max(0, batch.attempts - batch.freeAttempts - 1)
    partition.backoffUntil = now + backoffMs(failures, retryBackoffMs, retryBackoffMaxMs, random)
    partition.hold |= HOLD_BACKOFF
    this.#hooks.onBackoff(partition)
  }

  /** The sequences so far are of no more use. With proof, what is unclear about this batch and all behind it is clear now. */
  #rebase(
    partition: Partition,
    batch: Batch,
    { error, isProof }: Extract<Outcome, { kind: 'rebase' }>,
    answer: Answer,
    where: string,
    now: number,
  ): void {
    this.#log.warn(
      {
        topic: batch.topicName,
        partition: batch.partitionIndex,
        code: error.name,
        broker: where,
        sequence: batch.baseSequence,
      },
      'the broker expects other sequence numbers: the partition goes on with a new epoch',
    )
    batch.lastError = brokerFault(error, batch, answer, where, {})
    partition.putBack(batch)
    if (isProof) {
      for (const waiting of partition.ready) waiting.isUnclear = false
      for (const flying of partition.flying) flying.isUnclear = false
    }
    partition.sequences.startRebase()
    // Refused where an epoch begins: the next one, sent at once, would fare no better.
    if (batch.baseSequence === 0) this.#backOff(partition, batch, now)
  }

  #refuse(
    partition: Partition,
    batch: Batch,
    outcome: Extract<Outcome, { kind: 'fail' }>,
    answer: Answer,
    where: string,
    now: number,
  ): void {
    const details = {
      persisted: outcome.persisted,
      fatal: outcome.isFatal,
      attempts: batch.attempts,
      elapsedMs: Math.round(now - batch.createdAt),
      retriable: outcome.error.retriable,
    }
    const error = brokerFault(outcome.error, batch, answer, where, details)
    if (outcome.error.refreshMetadata) this.#hooks.onRefreshMetadata(outcome.error.name)
    this.fail(partition, batch, error)
    if (outcome.isFatal) this.#hooks.onFatal(error)
  }

  // ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Fails a batch wherever it is. One that flies becomes a ghost: its records settle now, its bytes stay until the socket is done. If
   * its sequence was used, the partition rebases.
   */
  fail(partition: Partition | null, batch: Batch, error: KafkaError): void {
    const isFlying = batch.state === 'flying' && (partition?.flying.includes(batch) ?? false)
    partition?.remove(batch)
    this.#metrics.recordsFailed(batch.topicName, batch.count - batch.goneCount)
    this.#settle(batch, { kind: 'failed', error }, isFlying)
    if (partition === null || !this.#options.isIdempotent || batch.baseSequence === -1) return
    const { sequences } = partition
    if (error.persisted !== 'no' && !batch.isDisowned) {
      sequences.unheardOrder = Math.max(sequences.unheardOrder, batch.order)
    }
    sequences.startRebase()
  }

  /** The leader was asked for all that are unclear, and knew none: it has none, unless one failed before it could be asked for. */
  #judgeDisowned(partition: Partition): void {
    for (const batch of partition.ready.filter(({ isDisowned }) => isDisowned)) {
      const { topicName: topic, partitionIndex, lastError } = batch
      if (batch.order > partition.sequences.unheardOrder) {
        batch.isUnclear = false
        batch.isDisowned = false
        const fields = { topic, partition: partitionIndex, sequence: batch.baseSequence, err: lastError }
        this.#log.warn(
          fields,
          'the broker has lost track of our sequence numbers: the partition goes on with a new epoch',
        )
        continue
      }
      this.fail(partition, batch, nobodyCanSay(batch))
    }
  }

  #settle(batch: Batch, settlement: NonNullable<Batch['settlement']>, isStillFlying = false): void {
    batch.settle(settlement)
    this.#accumulator.unsettled.delete(batch)
    batch.state = isStillFlying ? 'ghost' : 'settled'
    if (!isStillFlying) this.#accumulator.releaseRegion(batch)
    this.#queue.push(batch)
  }

  /** Whatever changed in the partition: it may be ready for the last step of its rebase, or to be drained. */
  afterLanding(partition: Partition): void {
    const { sequences } = partition
    if (sequences.isRebasing && partition.hasAskedAll) {
      this.#judgeDisowned(partition)
      const { identity } = sequences
      if (!sequences.finishRebase(partition.ready) && identity !== null) this.#hooks.onEpochsUsedUp(identity)
    }
    if (partition.flying.length === 0 || partition.mayFly) this.#hooks.onDrainable(partition)
  }

  // ── Recutting ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Halves. The children have the parent's sequences, so what flies behind it still follows. */
  #split(partition: Partition, batch: Batch): void {
    const target = Math.max(1, Math.floor(batch.byteLength / 2))
    partition.topic.batchBytesMax = Math.min(partition.topic.batchBytesMax, target)
    const children: Batch[] = []
    recut(batch, (view) => {
      const bytes = view.end - view.restStart + RECORD_OVERHEAD_MAX
      let child = children[children.length - 1]
      if (child === undefined || child.pos + bytes > child.limit) {
        child = this.#accumulator.emptyLike(batch, Math.max(target, RECORDS_AT + bytes))
        child.isSplitChild = true
        child.baseTimestamp = batch.baseTimestamp
        child.state = 'ready'
        child.identity = batch.identity
        child.epoch = batch.epoch
        if (batch.baseSequence !== -1) child.baseSequence = sequenceAfter(batch.baseSequence, view.index)
        children.push(child)
      }
      child.appendEncoded(batch, view.index, view.restStart, view.end)
    })
    this.#takePlace(partition, batch, children)
  }

  /** The culprits fail, each with what the broker said of it; the others go again, with other sequences. */
  #sift(
    partition: Partition,
    batch: Batch,
    fault: BrokerError,
    culprits: ReadonlyMap<number, string | null>,
    answer: Answer,
    where: string,
  ): void {
    let rest: Batch | null = null
    const region = batch.byteLength
    recut(batch, (view) => {
      if (culprits.has(view.index)) {
        const said =
          culprits.get(view.index) ?? (answer.kind === 'answered' ? answer.errorMessage : null) ?? fault.meaning
        const error = recordFault(fault, batch, said, where)
        this.#failOne(batch, view.index, error)
        return
      }
      if (rest === null) {
        rest = this.#accumulator.emptyLike(batch, region)
        rest.state = 'ready'
        // The old base timestamp: so no delta grows, and the bytes that were there are enough.
        rest.isSplitChild = true
        rest.baseTimestamp = batch.baseTimestamp
        rest.attempts = batch.attempts
        rest.freeAttempts = batch.freeAttempts
      }
      rest.appendEncoded(batch, view.index, view.restStart, view.end)
    })
    if (this.#options.isIdempotent) partition.sequences.startRebase()
    this.#takePlace(partition, batch, rest === null ? [] : [rest])
  }

  #failOne(batch: Batch, index: number, error: KafkaError): void {
    const { slots } = batch
    // The promise is the queue's to count from here on.
    if (slots.kinds[index] === SLOT_PROMISE) batch.promiseCount--
    this.#metrics.recordsFailed(batch.topicName, 1)
    this.#queue.refuse(slots.takeKind(index), slots.first[index], slots.second[index], error, batch.generation)
    slots.first[index] = undefined
    slots.second[index] = undefined
    batch.goneCount++
  }

  #takePlace(partition: Partition, batch: Batch, children: readonly Batch[]): void {
    const width = batch.orderWidth / Math.max(1, children.length)
    children.forEach((child, i) => {
      child.order = batch.order + i * width
      child.orderWidth = width
    })
    partition.replace(children, batch.order)
    this.#accumulator.dissolve(batch)
  }

  /** A single record of a batch that still waits: its caller's signal ended the wait. */
  failWaiting(batch: Batch, index: number, error: KafkaError): boolean {
    if (batch.state !== 'staged' || batch.slots.isGone(index)) return false
    this.#failOne(batch, index, error)
    return true
  }
}

/** No batch that is out (flying or waiting to be repeated) comes before it. A rebase repeats none but the unclear ones. */
function isOldestOut({ flying, ready, sequences }: Partition, batch: Batch): boolean {
  const isOut = ({ baseSequence, isUnclear, isDisowned }: Batch): boolean =>
    baseSequence !== -1 && ((isUnclear && !isDisowned) || !sequences.isRebasing)
  for (const other of flying) if (other.order < batch.order) return false
  for (const other of ready) if (other.order < batch.order && isOut(other)) return false
  return true
}
