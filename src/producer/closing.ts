// `flush` and `close`, to the letter of their contract.
// From: producer.ts. To: generations.ts (what is out), core.ts.

import type { Clock } from '../clock.ts'
import { kafkaError } from '../errors.ts'
import type { Core } from './core.ts'
import type { FlushWait } from './generations.ts'
import type { CloseReport, FlushReport, WaitOptions } from './types.ts'
import { waitFor } from './wait-for.ts'

const CLOSE_TIMEOUT_MS = 30_000

export function flushCore(core: Core, options: WaitOptions): Promise<FlushReport> {
  const startedAt = core.clock.now()
  let wait: FlushWait | undefined
  return waitFor<FlushReport>(core, {
    what: 'flush',
    code: 'FLUSH_TIMEOUT',
    timeoutMs: options.timeoutMs,
    signal: options.signal,
    describe: () => `${wait?.outstanding ?? 0} records are still out`,
    start: (signal) =>
      new Promise((resolve) => {
        wait = core.generations.flush((report) => {
          core.metrics.flushed(core.clock.now() - startedAt)
          resolve(report)
        })
        signal.addEventListener('abort', () => wait?.cancel(), { once: true })
        core.askForTurn()
      }),
  })
}

export async function closeCore(core: Core, timeoutMs = CLOSE_TIMEOUT_MS): Promise<CloseReport> {
  if (core.state.kind === 'open') core.state = { kind: 'closing' }
  core.room.rejectAll(kafkaError('CLOSED', 'the producer is closing'))
  core.sender.isDraining = true
  const deadline = deadlineIn(core.clock, timeoutMs)
  let wait!: FlushWait
  const settled = new Promise<void>((resolve) => {
    wait = core.generations.flush(() => resolve())
    core.askForTurn()
  })
  await Promise.race([settled, deadline.passed])
  deadline.cancel()
  const closed = kafkaError('CLOSED', 'the producer was closed before the record was acknowledged')
  // Among what is out there may be a record whose own serializer called close: it came too late to be counted.
  const abandoned = core.abandonAll(closed, core.generations.flushedUpTo)
  // Callbacks are owed, but not those of records that callbacks hand over now.
  while (wait.outstanding > 0 && !core.settleQueue.isEmpty)
    await new Promise<void>((resolve) => core.clock.soon(resolve))
  wait.cancel()
  await core.shutDown()
  const { delivered, failed } = wait.report
  return { delivered, failed: failed - abandoned, abandoned }
}

function deadlineIn(clock: Clock, timeoutMs: number): { readonly passed: Promise<void>; cancel(): void } {
  let cancel = (): void => {}
  const passed = new Promise<void>((resolve) => {
    if (timeoutMs === Number.POSITIVE_INFINITY) return
    // The event loop may have been blocked: answers that are here already count.
    const timer = clock.setTimer(timeoutMs, () => clock.soon(resolve))
    cancel = () => timer.cancel()
  })
  return { passed, cancel: () => cancel() }
}
