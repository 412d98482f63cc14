// Ends what has waited too long: batches at `deliveryTimeoutMs`, records without metadata and sends without room at `maxBlockMs`. Says
// in the error where the time went.
// From: deadlines.ts (the sweep), core.ts (close, fatal errors, topics that are refused). To: fate.ts.

import { type KafkaError, kafkaError, type Persisted } from '../errors.ts'
import type { Batch } from './batch.ts'
import type { Core } from './core.ts'
import type { Waiter } from './line.ts'
import { HOLD_LEADER, type Partition } from './partition.ts'
import type { Topic } from './topic.ts'

const NEVER = Number.POSITIVE_INFINITY

/** Errors with which the cluster says for good that a topic is not for us. */
const DEFINITE = new Set(['TOPIC_AUTHORIZATION_FAILED', 'INVALID_TOPIC_EXCEPTION'])

export class Expiry {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  // ── When ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  waitEndsAt(waiter: Waiter): number {
    const { maxBlockMs, deliveryTimeoutMs } = this.#core.options
    return waiter.waitingSince + Math.min(maxBlockMs, deliveryTimeoutMs)
  }

  endsAt(batch: Batch): number {
    const { maxBlockMs } = this.#core.options
    if (batch.state === 'staged') return Math.min(batch.deadlineAt, batch.createdAt + maxBlockMs)
    const missingSince = batch.partition?.missingSince ?? 0
    if (missingSince === 0) return batch.deadlineAt
    return Math.min(batch.deadlineAt, Math.max(missingSince, batch.createdAt) + maxBlockMs)
  }

  /** Half-way through the wait for an unknown topic: time to ask which topics there are, so that the error can name near ones. */
  #asksAt(batch: Batch): number {
    return batch.createdAt + this.#core.options.maxBlockMs / 2
  }

  stagedEndsAt(topic: Topic): number {
    const first = topic.staged[0]
    return first === undefined ? NEVER : this.#asksAt(first.batch)
  }

  /** Settles what is over and answers when the next thing will be. */
  sweep(now: number): number {
    const { accumulator, topicWaits } = this.#core
    let next = topicWaits.sweep(now)
    for (const batch of accumulator.unsettled) {
      const at = this.endsAt(batch)
      if (at <= now) this.#expire(batch, now)
      else next = Math.min(next, at)
      if (batch.state === 'staged') next = Math.min(next, this.#lookForNearNames(batch, now))
    }
    next = Math.min(next, this.#sweepLine(now))
    this.#core.askForTurn()
    return next
  }

  #sweepLine(now: number): number {
    const { line, metrics } = this.#core
    const over: Waiter[] = []
    let next = NEVER
    let isHead = true
    for (const waiter of line.inOrder()) {
      const at = this.waitEndsAt(waiter)
      if (at <= now) over.push(waiter)
      else {
        next = Math.min(next, at)
        // At the head a sendMany begins its wait anew with each record that gets in. Behind it whoever came first is the first to go.
        if (!isHead) break
      }
      isHead = false
    }
    for (const waiter of over) {
      line.abandon(waiter)
      metrics.bufferExhausted(waiter.recordCount)
      waiter.giveUp('timeout', now - waiter.waitingSince)
    }
    return next
  }

  #lookForNearNames(batch: Batch, now: number): number {
    const topic = this.#core.accumulator.topics.get(batch.topicName)
    if (topic === undefined || topic.hasAskedForNearNames) return NEVER
    const at = this.#asksAt(batch)
    if (at > now) return at
    topic.hasAskedForNearNames = true
    if (this.#core.cluster.lastSuccessAt > 0) {
      void this.#core.cluster.suggestTopics(topic.name).then((names) => {
        topic.nearNames = names
      })
    }
    return NEVER
  }

  #expire(batch: Batch, now: number): void {
    const error =
      batch.deadlineAt <= now
        ? this.#deliveryTimeout(batch, now)
        : batch.state === 'staged'
          ? this.#noMetadata(batch, now)
          : this.#noSuchPartition(batch, now)
    this.abandon(batch, error)
  }

  /** Settles a batch wherever it is; `error` is given the truth about its being in the log. */
  abandon(batch: Batch, error: KafkaError): void {
    const { fate, accumulator, cluster, topicWaits } = this.#core
    const { partition } = batch
    const persisted: Persisted = batch.state === 'flying' || batch.isUnclear ? 'possibly' : 'no'
    const told = persisted === error.persisted ? error : withPersisted(error, persisted, batch)
    if (partition !== null) {
      fate.fail(partition, batch, told)
      fate.afterLanding(partition)
      partition.topic.forgetMissing(partition)
      return
    }
    const topic = accumulator.topics.get(batch.topicName)
    fate.fail(null, batch, told)
    if (topic === undefined) return
    topic.staged = topic.staged.filter((staged) => staged.batch !== batch)
    // Nobody waits for it any more: the next record asks anew.
    if (topic.staged.length === 0 && topic.metadata === null) {
      if (!topicWaits.isWaitedFor(topic.name)) cluster.untrack(topic.name)
      topic.hasAskedForNearNames = false
      if (topic.isIdle && topic.partitions.length === 0) accumulator.forget(topic)
    }
  }

  /** Gives up the oldest batch that was never sent and that no promise waits for; false: there is none. */
  dropOldest(): boolean {
    const { accumulator, metrics } = this.#core
    for (const batch of accumulator.unsettled) {
      if (batch.attempts > 0 || batch.promiseCount > 0 || batch.state === 'flying' || batch.count === 0) continue
      metrics.dropped(batch.count - batch.goneCount)
      const error = kafkaError('DROPPED', `dropped to make room for newer records (overflow 'drop-oldest')`, {
        topic: batch.topicName,
        partition: batch.partition === null ? undefined : batch.partitionIndex,
        attempts: 0,
      })
      this.abandon(batch, error)
      return true
    }
    return false
  }

  /** `topic()` knows nothing (any more): refused for good, or forgotten because nobody used it. */
  topicIsGone(topic: Topic): void {
    const error = this.#core.cluster.topicError(topic.name)
    if (error !== undefined && DEFINITE.has(error.name)) {
      const details = {
        topic: topic.name,
        hint:
          error.name === 'TOPIC_AUTHORIZATION_FAILED'
            ? `Grant Write and Describe on topic ${topic.name} to this client.`
            : undefined,
      }
      const failure = kafkaError(error.name, `the cluster refuses topic ${topic.name}: ${error.meaning}`, details)
      for (const { batch } of [...topic.staged]) this.abandon(batch, failure)
      this.#core.askForTurn()
    } else if (error === undefined && topic.metadata !== null) {
      if (!topic.isIdle) {
        // Nothing new for a while, and yet records of it wait: their partitions must hear of new leaders.
        this.#core.cluster.track(topic.name)
        return
      }
      // The partitions keep their sequences: with the same producer id they must go on where they were.
      topic.metadata = null
      topic.infos = null
    }
  }

  // ── Why ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #deliveryTimeout(batch: Batch, now: number): KafkaError {
    const { deliveryTimeoutMs } = this.#core.options
    const place = batch.partition === null ? `topic ${batch.topicName}` : `${batch.topicName}-${batch.partitionIndex}`
    const what = batch.count === 1 ? 'the record' : `${batch.count} records`
    const cause = batch.lastError ?? this.#obstacle(batch.partition)
    const story =
      batch.attempts === 0
        ? `never sent, ${this.#whyNotSent(batch)}`
        : `sent ${batch.attempts === 1 ? 'once' : `${batch.attempts} times`}, the last time ${Math.round(now - batch.lastAttemptAt)} ms ago${
            batch.state === 'flying'
              ? ` and not answered by ${batch.partition?.lane?.net.brokerName ?? 'its broker'} yet`
              : ''
          }${batch.lastError === null ? '' : `, last error: ${batch.lastError.message}`}`
    return kafkaError(
      'DELIVERY_TIMEOUT',
      `${what} for ${place} not acknowledged within deliveryTimeoutMs (${deliveryTimeoutMs}): ${story}`,
      {
        topic: batch.topicName,
        partition: batch.partition === null ? undefined : batch.partitionIndex,
        broker: batch.partition?.lane?.net.brokerName,
        attempts: batch.attempts,
        elapsedMs: Math.round(now - batch.createdAt),
        cause,
      },
    )
  }

  #whyNotSent({ partition }: Batch): string {
    if (partition === null) return 'its topic was not described by any broker'
    if ((partition.hold & HOLD_LEADER) !== 0) return 'its partition has no leader'
    const obstacle = this.#obstacle(partition)
    return obstacle === undefined ? 'it waited behind other records of its partition' : obstacle.message
  }

  /** What stands in the way of a partition that has not sent. */
  #obstacle(partition: Partition | null): KafkaError | undefined {
    const { cluster, producerId } = this.#core
    if (partition === null) return cluster.lastError
    return (
      partition.lane?.net.lastError ??
      (partition.sequences.identity === null ? (producerId.lastError ?? undefined) : undefined)
    )
  }

  #noMetadata(batch: Batch, now: number): KafkaError {
    const name = batch.topicName
    const said = this.#core.cluster.topicError(name)
    const waited = `waited ${Math.round(now - batch.createdAt)} ms, maxBlockMs`
    const elapsedMs = Math.round(now - batch.createdAt)
    if (said === undefined) {
      const cause = this.#core.cluster.lastError
      return kafkaError(
        'METADATA_TIMEOUT',
        `no broker described topic ${name} (${waited})${cause ? `: ${cause.message}` : ''}`,
        {
          topic: name,
          elapsedMs,
          cause,
        },
      )
    }
    const near = this.#core.accumulator.topics.get(name)?.nearNames ?? []
    return kafkaError(said.name, `topic ${name}: ${said.meaning} (${waited})`, {
      topic: name,
      elapsedMs,
      retriable: said.retriable,
      hint:
        near.length > 0
          ? `Did you mean ${near.join(', ')}?`
          : 'Create it first, or see whether this client may describe it.',
    })
  }

  #noSuchPartition(batch: Batch, now: number): KafkaError {
    const count = this.#core.accumulator.topics.get(batch.topicName)?.partitions.length ?? 0
    return kafkaError(
      'INVALID_PARTITION',
      `topic ${batch.topicName} has no partition ${batch.partitionIndex}, it has ${count} (waited ${Math.round(now - batch.createdAt)} ms, maxBlockMs)`,
      { topic: batch.topicName, partition: batch.partitionIndex, elapsedMs: Math.round(now - batch.createdAt) },
    )
  }
}

function withPersisted(error: KafkaError, persisted: Persisted, batch: Batch): KafkaError {
  return kafkaError(
    error.code,
    error.hint === undefined ? error.message : error.message.slice(0, -error.hint.length - 2),
    {
      hint: error.hint,
      topic: error.topic ?? batch.topicName,
      partition: error.partition ?? batch.partitionIndex,
      broker: error.broker,
      attempts: error.attempts ?? batch.attempts,
      elapsedMs: error.elapsedMs,
      retriable: error.retriable,
      fatal: error.fatal,
      cause: error.cause,
      persisted,
    },
  )
}
