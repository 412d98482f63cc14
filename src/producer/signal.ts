// `send(record, { signal })`: the signal ends the wait for metadata or for room. A record that is in a batch is not called back.
// From: producer.ts. To: core.ts; apart from `send` because it costs a listener and two closures, and few need it.

import { type KafkaError, kafkaError } from '../errors.ts'
import type { Batch } from './batch.ts'
import type { Core } from './core.ts'
import { asKafkaError, type Prepared } from './intake.ts'
import { SLOT_PROMISE } from './slots.ts'
import type { RecordMetadata } from './types.ts'

export function sendWithSignal(
  core: Core,
  record: unknown,
  signal: AbortSignal,
  resolve: (metadata: RecordMetadata) => void,
  reject: (error: KafkaError) => void,
): void {
  if (core.state.kind !== 'open') {
    core.taking.turnAway(SLOT_PROMISE, resolve, reject, core.taking.refusal())
    return
  }
  if (signal.aborted) {
    core.taking.turnAway(SLOT_PROMISE, resolve, reject, abortedBy(signal))
    return
  }
  const prepared: Prepared = {
    topic: '',
    key: null,
    value: null,
    headers: null,
    timestamp: 0,
    partition: -1,
    record: null,
  }
  try {
    core.intake.prepare(record, prepared)
  } catch (error) {
    core.taking.turnAway(SLOT_PROMISE, resolve, reject, asKafkaError(error))
    return
  }
  const { topic } = prepared
  // Its own serializer may have done that.
  if (signal.aborted) {
    core.taking.turnAway(SLOT_PROMISE, resolve, reject, abortedBy(signal, topic))
    return
  }
  const stopListening = (): void => signal.removeEventListener('abort', onAbort)
  const settle = <T>(then: (value: T) => void) => {
    return (value: T): void => {
      stopListening()
      then(value)
    }
  }
  const resolved = settle(resolve)
  const waiter = core.taking.take(prepared, SLOT_PROMISE, resolved, settle(reject))
  const staged = waiter === null ? stagedLast(core, topic, resolved) : null
  const index = staged === null ? -1 : staged.count - 1
  function onAbort(): void {
    const error = abortedBy(signal, topic)
    if (waiter !== null && !waiter.isGone && !waiter.hasEntered) {
      core.line.abandon(waiter)
      waiter.giveUp(error, 0)
    } else if (staged !== null) core.fate.failWaiting(staged, index, error)
    core.askForTurn()
  }
  signal.addEventListener('abort', onAbort, { once: true })
}

/** The batch without a partition at whose end the record is; null: it went elsewhere, or was refused. */
function stagedLast(core: Core, topic: string, resolved: unknown): Batch | null {
  const batch = core.accumulator.topics.get(topic)?.staged.at(-1)?.batch
  return batch !== undefined && batch.slots.first[batch.count - 1] === resolved ? batch : null
}

function abortedBy(signal: AbortSignal, topic?: string): KafkaError {
  const whose = topic === undefined ? 'a send' : `a send to topic ${topic}`
  return kafkaError('ABORTED', `the wait of ${whose} was ended by its signal`, { topic, cause: signal.reason })
}
