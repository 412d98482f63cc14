// Takes a prepared record: into a batch, into the line when there is no room, or not at all.
// From: producer.ts, signal.ts, send-many.ts, writable.ts. To: accumulator.ts, line.ts; what is refused goes to settle-queue.ts.
//
// The order per partition is the order of the calls: while anybody waits in the line, nobody gets in past it.

import { type KafkaError, kafkaError } from '../errors.ts'
import { RECORDS_AT } from '../protocol/record-batch.ts'
import type { Core } from './core.ts'
import type { Generation } from './generations.ts'
import { asKafkaError, type Prepared } from './intake.ts'
import type { Waiter } from './line.ts'
import { recordBytesBound } from './record-encoder.ts'
import type { SendMany } from './send-many.ts'
import { SLOT_NOBODY, SLOT_PROMISE, type SlotKind } from './slots.ts'
import { RecordWaiter } from './waiters.ts'

export class Taking {
  /** Promises of `send` that have not settled. */
  pendingPromises = 0
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  /** A record that may wait: into a batch, or into the line when there is no room or others wait already. */
  take(prepared: Prepared, kind: SlotKind, first: unknown, second: unknown): Waiter | null {
    const core = this.#core
    const generation = core.generations.accept()
    const now = core.intake.now()
    if (kind === SLOT_PROMISE) this.pendingPromises++
    core.askForTurn()
    if (core.line.isEmpty && this.add(prepared, kind, first, second, generation, now)) return null
    return this.#queueUp(prepared, kind, first, second, generation, now)
  }

  /** A record that may not wait: into a batch, or what `overflow` says. */
  takeOrOverflow(prepared: Prepared, kind: SlotKind, first: unknown, second: unknown): void {
    const core = this.#core
    const { overflow, bufferMemory } = core.options
    const generation = core.generations.accept()
    const now = core.intake.now()
    core.askForTurn()
    // The line comes first: what it waits for is not given to somebody else.
    if (core.line.isEmpty) {
      if (this.add(prepared, kind, first, second, generation, now)) return
      if (overflow === 'drop-oldest') {
        while (core.expiry.dropOldest()) if (this.add(prepared, kind, first, second, generation, now)) return
      }
    }
    this.#refuseFull(prepared.topic, kind, first, second, generation, `bufferMemory (${bufferMemory} bytes) is full`)
  }

  takeMany(many: SendMany): void {
    const { line, options } = this.#core
    this.#core.askForTurn()
    if (line.isEmpty && many.tryEnter()) return
    if (line.count < options.maxWaitingSends) {
      this.#waitInLine(many)
      return
    }
    const why = `bufferMemory is full, and so is the line of waiting sends: maxWaitingSends (${options.maxWaitingSends})`
    this.#core.metrics.refused(many.recordCount)
    many.giveUp(kafkaError('BUFFER_FULL', `no room for the rest of a sendMany: ${why}`), 0)
  }

  /**
   * For a record that waits: a partitioner of the user's own is asked as soon as its topic is known, and once. Answers why it failed.
   */
  decide(prepared: Prepared): KafkaError | null {
    if (prepared.partition !== -1) return null
    try {
      prepared.partition = this.#core.accumulator.choosePartition(prepared.topic, prepared.key, prepared.record)
      return null
    } catch (error) {
      return asKafkaError(error)
    }
  }

  /** Takes a prepared record into a batch; false: there is no room. */
  add(
    { topic, partition, key, value, headers, timestamp, record }: Prepared,
    kind: SlotKind,
    first: unknown,
    second: unknown,
    generation: Generation,
    now: number,
  ): boolean {
    const { accumulator } = this.#core
    return accumulator.add(
      accumulator.topic(topic),
      partition,
      key,
      value,
      headers,
      timestamp,
      record,
      kind,
      first,
      second,
      generation,
      now,
    )
  }

  // ── The line ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #queueUp(
    prepared: Prepared,
    kind: SlotKind,
    first: unknown,
    second: unknown,
    generation: Generation,
    now: number,
  ): Waiter | null {
    const { line, options } = this.#core
    const { maxWaitingSends, maxWaitingBytes } = options
    const bytes = recordBytesBound(prepared.key, prepared.value, prepared.headers)
    const isTooMany = line.count >= maxWaitingSends
    if (isTooMany || line.bytes + bytes > maxWaitingBytes) {
      const limit = isTooMany ? `maxWaitingSends (${maxWaitingSends})` : `maxWaitingBytes (${maxWaitingBytes})`
      const why = `bufferMemory is full, and so is the line of waiting sends: ${limit}`
      this.#refuseFull(prepared.topic, kind, first, second, generation, why)
      return null
    }
    const waiter = new RecordWaiter(prepared, kind, first, second, generation, now, this)
    this.#waitInLine(waiter)
    return waiter
  }

  #waitInLine(waiter: Waiter): void {
    const { metrics, line, deadlines, expiry } = this.#core
    metrics.lineFormed()
    line.push(waiter)
    deadlines.expect(expiry.waitEndsAt(waiter))
  }

  /** The head of the line gets in as long as there is room; nobody overtakes it. */
  serveLine(): void {
    const { line, metrics } = this.#core
    for (let waiter = line.head(); waiter !== undefined; waiter = line.head()) {
      if (!waiter.tryEnter()) return
      // User code may have ended the wait meanwhile: then it is out of the line already.
      if (!waiter.isGone) line.shift()
    }
    metrics.lineCleared()
  }

  /** There may be room for the head of the line: another turn is worth it. */
  get isHeadDue(): boolean {
    const { line, accumulator } = this.#core
    const head = line.head()
    return head !== undefined && accumulator.arena.hasRoomFor(RECORDS_AT + head.neededBytes)
  }

  // ── What is not taken ───────────────────────────────────────────────────────────────────────────────────────────────

  #refuseFull(
    topic: string,
    kind: SlotKind,
    first: unknown,
    second: unknown,
    generation: Generation,
    why: string,
  ): void {
    this.#core.metrics.refused(1)
    const error = kafkaError('BUFFER_FULL', `no room for a record of topic ${topic}: ${why}`, {
      topic,
      hint:
        kind === SLOT_PROMISE
          ? 'Await send, or use sendMany or writable, which take records as room comes.'
          : 'Wait for ready() when enqueue answers false, or raise bufferMemory.',
    })
    this.refuse(kind, first, second, error, generation)
  }

  /** A record that could not be prepared, or that comes too late: it settles with this error, from a later turn. */
  turnAway(kind: SlotKind, first: unknown, second: unknown, error: KafkaError): void {
    if (kind === SLOT_PROMISE) this.pendingPromises++
    this.refuse(kind, first, second, error, this.#core.generations.accept())
  }

  /**
   * The record settles with this error, from a later turn. Its generation counts it already.
   *
   * @param topic for the metrics; an error that many records share does not know it, and what cannot be a topic gets no entry
   */
  refuse(
    kind: SlotKind,
    first: unknown,
    second: unknown,
    error: KafkaError,
    generation: Generation,
    topic = error.code === 'INVALID_TOPIC_EXCEPTION' ? '' : (error.topic ?? ''),
  ): void {
    const { log, metrics, settleQueue } = this.#core
    metrics.recordsFailed(topic, 1)
    if (kind === SLOT_NOBODY) log.warn({ code: error.code, err: error }, 'a record failed and nobody asked to be told')
    settleQueue.refuse(kind, first, second, error, generation)
    this.#core.askForTurn()
  }

  /** Why nothing is taken any more. */
  refusal(): KafkaError {
    const { state } = this.#core
    return state.kind === 'failed'
      ? state.error
      : kafkaError('CLOSED', 'the producer is closed: it takes no more records')
  }
}
