import { describe, expect, test } from 'vitest'
import { Deadlines } from '../../src/producer/deadlines.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { turns } from '../support/stand.ts'

/** Deadlines over a list of instants; `looks` says at which instants they were looked at. */
function deadlinesOver(instants: number[] = []) {
  const clock = new FakeClock()
  const looks: number[] = []
  const pending = new Set(instants)
  const deadlines = new Deadlines(clock, (now) => {
    looks.push(now)
    for (const at of pending) if (at <= now) pending.delete(at)
    return Math.min(...pending)
  })
  const expectAll = (...more: number[]): void => {
    for (const at of more) {
      pending.add(at)
      deadlines.expect(at)
    }
  }
  return { clock, looks, deadlines, expectAll, now: clock.now() }
}

describe('deadlines', () => {
  test('set no timer while nothing waits', () => {
    const { clock } = deadlinesOver()
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('look at the very instant of the earliest, in whichever order they were named', async () => {
    const { clock, looks, expectAll, now } = deadlinesOver()
    expectAll(now + 3_000, now + 1_000, now + 2_000)
    clock.advance(999)
    await turns(2)
    expect(looks).toEqual([])
    clock.advance(1)
    await turns(2)
    expect(looks).toEqual([now + 1_000])
  })

  test('look again at the next one, and at no other time', async () => {
    const { clock, looks, expectAll, now } = deadlinesOver()
    expectAll(now + 1_000, now + 2_500, now + 60_000)
    for (let ms = 0; ms < 70_000; ms += 500) {
      clock.advance(500)
      await turns(2)
    }
    expect(looks).toEqual([now + 1_000, now + 2_500, now + 60_000])
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('have one timer, however many are named', () => {
    const { clock, expectAll, now } = deadlinesOver()
    expectAll(...Array.from({ length: 1_000 }, (_, i) => now + 50_000 - i))
    expect(clock.pendingDelaysMs).toEqual([49_001])
  })

  test('that are closer than 5 ms share a look, which comes no earlier than the earliest of them', async () => {
    const { clock, looks, expectAll, now } = deadlinesOver()
    for (let i = 0; i < 5; i++) expectAll(now + 1_000 + i)
    for (let ms = 0; ms < 1_100; ms++) {
      clock.advance(1)
      await turns(1)
    }
    expect(looks).toEqual([now + 1_000, now + 1_005])
  })

  test('one that has passed already is looked at within 5 ms, not at once and not in a loop', async () => {
    const { clock, looks, expectAll, now } = deadlinesOver()
    expectAll(now - 10)
    await turns(3)
    expect(looks).toEqual([])
    expect(clock.pendingDelaysMs).toEqual([5])
    clock.advance(5)
    await turns(2)
    expect(looks).toEqual([now + 5])
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('look only after whatever is ready now has had its turn: a late timer sees answers first', async () => {
    const { clock, looks, expectAll, now } = deadlinesOver()
    expectAll(now + 1_000)
    const looksBeforeAnswer: number[] = []
    // As an answer that is in the socket already when the event loop comes back to life.
    setImmediate(() => looksBeforeAnswer.push(looks.length))
    clock.advanceLate(30_000)
    expect(looks).toEqual([])
    await turns(2)
    expect(looksBeforeAnswer).toEqual([0])
    expect(looks).toEqual([now + 30_000])
  })

  test('named between the timer and its look are not lost', async () => {
    const { clock, looks, expectAll, now } = deadlinesOver()
    expectAll(now + 1_000)
    clock.advance(1_000)
    expectAll(now + 1_500, now + 90_000)
    await turns(2)
    expect(clock.pendingDelaysMs).toEqual([500])
    clock.advance(500)
    await turns(2)
    expect(looks).toEqual([now + 1_000, now + 1_500])
    expect(clock.pendingDelaysMs).toEqual([88_500])
  })

  test('never keep the process alive: records that are out do that', () => {
    const { clock, expectAll, now } = deadlinesOver()
    expectAll(now + 1_000)
    expect(clock.keepAliveCount).toBe(0)
  })

  test('cleared leave no timer behind', async () => {
    const { clock, looks, deadlines, expectAll, now } = deadlinesOver()
    expectAll(now + 1_000)
    deadlines.clear()
    clock.advance(5_000)
    await turns(2)
    expect(clock.pendingDelaysMs).toEqual([])
    expect(looks).toEqual([])
  })

  test('cleared between the timer and its look set no new one', async () => {
    const { clock, looks, deadlines, expectAll, now } = deadlinesOver()
    expectAll(now + 1_000, now + 9_000)
    clock.advance(1_000)
    deadlines.clear()
    await turns(2)
    expect(looks).toEqual([])
    expect(clock.pendingDelaysMs).toEqual([])
  })
})
