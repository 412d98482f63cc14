// `send(record, { signal })`: the signal ends the wait for metadata or for room. A record that is in a batch is not called back.
// From: producer.ts. To: core.ts; apart from `send` because it costs a listener and two closures, and few need it.

import { type KafkaError, kafkaError } from '../errors.ts'
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
  const stopListening = (): void => signal.removeEventListener('abort', onAbort)
  const settle = <T>(then: (value: T) => void) => {
    return (value: T): void => {
      stopListening()
      then(value)
    }
  }
  const waiter = core.taking.take(prepared, SLOT_PROMISE, settle(resolve), settle(reject))
  const topic = core.accumulator.topics.get(prepared.topic)
  const staged = waiter === null ? topic?.staged[topic.staged.length - 1] : undefined
  const index = staged === undefined ? -1 : staged.batch.count - 1
  function onAbort(): void {
    const error = abortedBy(signal)
    if (waiter !== null && !waiter.isGone && !waiter.hasEntered) {
      core.line.abandon(waiter)
      waiter.giveUp(error, 0)
    } else if (staged !== undefined) core.fate.failWaiting(staged.batch, index, error)
    core.askForTurn()
  }
  signal.addEventListener('abort', onAbort, { once: true })
}

function abortedBy(signal: AbortSignal): KafkaError {
  return kafkaError('ABORTED', 'the wait of a send was ended by its signal', { cause: signal.reason })
}
