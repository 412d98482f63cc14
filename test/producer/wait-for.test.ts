import { describe, expect, test } from 'vitest'
import { kafkaError } from '../../src/errors.ts'
import { type WaitSpec, waitFor } from '../../src/producer/wait-for.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { deferred } from '../support/fake-cluster/deferred.ts'
import { failureOf, turns, watch } from '../support/stand.ts'

function waiting<T = string>(spec: Partial<WaitSpec<T>> = {}) {
  const clock = new FakeClock()
  const { promise, resolve, reject } = deferred<T>()
  const seen: { signal?: AbortSignal } = {}
  const wait = waitFor<T>(
    { clock },
    {
      what: 'ready',
      code: 'READY_TIMEOUT',
      start: (signal) => {
        seen.signal = signal
        return promise
      },
      ...spec,
    },
  )
  wait.catch(() => {})
  return { clock, wait, watched: watch(wait), resolve, reject, seen }
}

/** Counts who listens to a signal. */
function countedSignal() {
  const controller = new AbortController()
  const { signal } = controller
  let listening = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...all: Parameters<typeof add>) => {
    listening++
    add(...all)
  }
  signal.removeEventListener = (...all: Parameters<typeof remove>) => {
    listening--
    remove(...all)
  }
  return { controller, signal, listening: () => listening }
}

describe('a wait', () => {
  test('ends with what it waits for, and leaves no timer', async () => {
    const { clock, wait, resolve } = waiting({ timeoutMs: 1_000 })
    expect(clock.pendingDelaysMs).toEqual([1_000])
    resolve('here')
    expect(await wait).toBe('here')
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('ends with the error of what it waits for, as it is', async () => {
    const { clock, wait, reject } = waiting({ timeoutMs: 1_000 })
    const error = kafkaError('CLOSED', 'closed')
    reject(error)
    expect(await failureOf(wait)).toBe(error)
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test.each([[undefined], [Number.POSITIVE_INFINITY]])('with timeoutMs %s has no timer', async (timeoutMs) => {
    const { clock, wait, resolve } = waiting({ timeoutMs })
    expect(clock.pendingDelaysMs).toEqual([])
    resolve('here')
    await wait
  })

  test('ends at timeoutMs with its code, and says what is still missing', async () => {
    const { clock, watched } = waiting({ timeoutMs: 250, describe: () => '3 records are still out' })
    clock.advance(249)
    await turns(3)
    expect(watched.state).toBe('pending')
    clock.advance(1)
    await turns(3)
    expect(watched.error).toMatchObject({ code: 'READY_TIMEOUT', name: 'TimeoutError', retriable: true })
    expect(watched.error?.message).toBe('ready did not end within 250 ms: 3 records are still out')
  })

  test('with timeoutMs 0 takes what is there already', async () => {
    const { clock, wait, resolve } = waiting({ timeoutMs: 0 })
    // As an answer in a socket: it is read before the next turn is over.
    setImmediate(() => resolve('here'))
    clock.advance(0)
    expect(await wait).toBe('here')
  })

  test('with timeoutMs 0 and nothing there ends', async () => {
    const { clock, wait } = waiting({ timeoutMs: 0 })
    clock.advance(0)
    expect((await failureOf(wait)).code).toBe('READY_TIMEOUT')
  })

  test('whose timer is late, after the event loop was blocked, takes what came meanwhile', async () => {
    const { clock, wait, resolve } = waiting({ timeoutMs: 100 })
    setImmediate(() => resolve('here'))
    clock.advanceLate(60_000)
    expect(await wait).toBe('here')
  })

  test('that ran out says why in the words of who knows better, if anybody does', async () => {
    const error = kafkaError('BOOTSTRAP_FAILED', 'nobody is there')
    const { clock, wait } = waiting({ timeoutMs: 100, reason: () => error })
    clock.advance(100)
    expect(await failureOf(wait)).toBe(error)
    const nobody = waiting({ timeoutMs: 100, reason: () => undefined })
    nobody.clock.advance(100)
    expect((await failureOf(nobody.wait)).code).toBe('READY_TIMEOUT')
  })

  test('with a signal that is aborted already does not even begin', async () => {
    const reason = new Error('too late')
    const { wait, seen, clock } = waiting({ timeoutMs: 100, signal: AbortSignal.abort(reason) })
    const error = await failureOf(wait)
    expect(error).toMatchObject({ code: 'ABORTED' })
    expect(error.message).toContain('ready')
    expect(error.cause).toBe(reason)
    expect(seen.signal).toBeUndefined()
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('ends with ABORTED when its signal is aborted, at once, without a timer or a listener left', async () => {
    const { controller, signal, listening } = countedSignal()
    const { clock, wait, seen } = waiting({ timeoutMs: 100, signal })
    expect(listening()).toBe(1)
    controller.abort(new Error('enough'))
    expect(await failureOf(wait)).toMatchObject({ code: 'ABORTED', cause: { message: 'enough' } })
    expect(clock.pendingDelaysMs).toEqual([])
    expect(listening()).toBe(0)
    expect(seen.signal?.aborted).toBe(true)
  })

  test('that has ended does not listen to its signal any more', async () => {
    const { controller, signal, listening } = countedSignal()
    const { wait, resolve, seen } = waiting({ signal })
    resolve('here')
    await wait
    expect(listening()).toBe(0)
    controller.abort()
    expect(seen.signal?.aborted).toBe(false)
  })

  test('with a signal and a timeout ends with whichever comes first, once', async () => {
    const { controller, signal, listening } = countedSignal()
    const { clock, watched } = waiting({ timeoutMs: 100, signal })
    clock.advance(100)
    await turns(3)
    expect(watched.error?.code).toBe('READY_TIMEOUT')
    expect(listening()).toBe(0)
    controller.abort()
    await turns(3)
    expect(watched.error?.code).toBe('READY_TIMEOUT')
  })

  test('aborted between its timer and the look that follows says ABORTED', async () => {
    const controller = new AbortController()
    const { clock, wait } = waiting({ timeoutMs: 100, signal: controller.signal })
    clock.advance(100)
    controller.abort()
    expect((await failureOf(wait)).code).toBe('ABORTED')
  })

  test.each([-1, Number.NaN, '5' as never, null as never])('refuses %s as timeoutMs', async (timeoutMs) => {
    const { wait, clock, seen } = waiting({ timeoutMs })
    const error = await failureOf(wait)
    expect(error).toMatchObject({ code: 'INVALID_CONFIG' })
    expect(error.message).toContain('timeoutMs')
    expect(seen.signal).toBeUndefined()
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('keeps the process alive only as long as its own timer runs', async () => {
    const { clock, wait, resolve } = waiting({ timeoutMs: 1_000 })
    expect(clock.keepAliveCount).toBe(1)
    resolve('here')
    await wait
    expect(clock.keepAliveCount).toBe(0)
  })

  test('tells what it started that nobody waits any more, once it has run out', async () => {
    const { clock, seen } = waiting({ timeoutMs: 100 })
    expect(seen.signal?.aborted).toBe(false)
    clock.advance(100)
    await turns(3)
    expect(seen.signal?.aborted).toBe(true)
  })
})
