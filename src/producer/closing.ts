// `flush` and `close`, to the letter of their contract.
// From: producer.ts. To: generations.ts (what is out), core.ts.

import { kafkaError } from '../errors.ts'
import type { Core } from './core.ts'
import type { FlushWait } from './generations.ts'
import type { CloseOptions, CloseReport, FlushReport, WaitOptions } from './types.ts'
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

export async function closeCore(core: Core, options: CloseOptions): Promise<CloseReport> {
  const { timeoutMs = CLOSE_TIMEOUT_MS } = options
  if (!(timeoutMs >= 0)) throw kafkaError('INVALID_CONFIG', `close: timeoutMs is ${timeoutMs}, but must be 0 or more`)
  if (core.state.kind === 'open') core.state = { kind: 'closing' }
  core.room.rejectAll(kafkaError('CLOSED', 'the producer is closing'))
  core.sender.isDraining = true
  let report: FlushReport = { delivered: 0, failed: 0 }
  const out = core.generations.outstanding
  if (out > 0) report = await settleWithin(core, timeoutMs)
  const abandoned = core.abandonAll(kafkaError('CLOSED', 'the producer was closed before the record was acknowledged'))
  await core.shutDown()
  return { ...report, abandoned }
}

/** Waits for everything that is out; past the deadline reports what has settled until then. */
function settleWithin(core: Core, timeoutMs: number): Promise<FlushReport> {
  return new Promise((resolve) => {
    let wait: FlushWait | undefined
    const timer = core.clock.setTimer(timeoutMs, () => {
      core.clock.soon(() => {
        wait?.cancel()
        resolve(wait?.report ?? { delivered: 0, failed: 0 })
      })
    })
    wait = core.generations.flush((report) => {
      timer.cancel()
      resolve(report)
    })
    core.askForTurn()
  })
}
