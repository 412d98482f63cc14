import { describe, expect, test } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import { Anchor, LazyTimer } from '../../src/net/timers.ts'
import { FakeClock } from '../support/fake-clock.ts'

describe('LazyTimer', () => {
  test('setting it again replaces what was set: there is never more than one', () => {
    const clock = new FakeClock()
    let count = 0
    const timer = new LazyTimer(clock, () => count++)
    timer.set(clock.now() + 500)
    timer.set(clock.now() + 100)
    timer.set(clock.now() + 300)
    expect(clock.pendingDelaysMs).toEqual([300])
    clock.advance(1_000)
    expect(count).toBe(1)
  })

  test('Infinity and clear set nothing', () => {
    const clock = new FakeClock()
    const timer = new LazyTimer(clock, () => {})
    timer.set(Number.POSITIVE_INFINITY)
    expect(clock.pendingDelaysMs).toEqual([])
    timer.set(clock.now() + 5)
    timer.clear()
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('an instant that has passed fires as soon as timers do, not within set', () => {
    const clock = new FakeClock()
    let count = 0
    new LazyTimer(clock, () => count++).set(clock.now() - 1_000)
    expect(count).toBe(0)
    clock.advance(0)
    expect(count).toBe(1)
  })

  test('a timer of the system that fires early waits for the rest', () => {
    const fake = new FakeClock()
    // As setTimeout does: cut to a longest delay, and sometimes a little early.
    const clock: Clock = {
      now: () => fake.now(),
      wallTimeMs: () => fake.wallTimeMs(),
      setTimer: (delayMs, callback, keepAlive) =>
        fake.setTimer(Math.min(delayMs < 1 ? delayMs : delayMs - 0.4, 1_000), callback, keepAlive),
      soon: (callback) => fake.soon(callback),
    }
    const firedAt: number[] = []
    const start = fake.now()
    new LazyTimer(clock, () => firedAt.push(fake.now() - start)).set(start + 2_500)
    fake.advance(10_000)
    expect(firedAt).toHaveLength(1)
    expect(firedAt[0]).toBeGreaterThanOrEqual(2_500)
    expect(firedAt[0]).toBeLessThan(2_501)
  })
})

test('an anchor holds for longer than the longest timer', () => {
  const clock = new FakeClock()
  const release = new Anchor(clock).hold()
  clock.advance(3 * 2_147_483_647)
  expect(clock.keepAliveCount).toBe(1)
  release()
  expect(clock.keepAliveCount).toBe(0)
})
