import { expect, test } from 'vitest'
import { Deadline } from '../../src/net/deadline.ts'
import { FakeClock } from '../support/fake-clock.ts'

function setUp() {
  const clock = new FakeClock()
  const state = { earliest: Number.POSITIVE_INFINITY, progress: 0, passed: 0 }
  const deadline = new Deadline({
    clock,
    earliest: () => state.earliest,
    progress: () => state.progress,
    onPassed: () => {
      state.passed++
    },
  })
  const expectIn = (ms: number): void => {
    state.earliest = Math.min(state.earliest, clock.now() + ms)
    deadline.expect(clock.now() + ms)
  }
  return { clock, state, deadline, expectIn }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('it passes once the time is over and the sockets had their turn', async () => {
  const { clock, state, expectIn } = setUp()
  expectIn(100)
  clock.advance(99)
  await turn()
  expect(state.passed).toBe(0)
  clock.advance(1)
  expect(state.passed).toBe(0)
  await turn()
  expect(state.passed).toBe(1)
})

test('many expectations share one timer, which does not keep the process alive', () => {
  const { clock, expectIn } = setUp()
  for (let index = 0; index < 100; index++) {
    clock.advance(0.1)
    expectIn(100)
  }
  expect(clock.pendingDelaysMs).toHaveLength(1)
  expect(clock.keepAliveCount).toBe(0)
})

test('an earlier deadline moves the timer forward', () => {
  const { clock, expectIn } = setUp()
  expectIn(30_000)
  expectIn(50)
  expect(clock.pendingDelaysMs).toEqual([50])
})

test('when what it was set for is over, the timer is set for what is next', async () => {
  const { clock, state, expectIn } = setUp()
  expectIn(100)
  state.earliest = clock.now() + 250
  clock.advance(100)
  await turn()
  expect(state.passed).toBe(0)
  expect(clock.pendingDelaysMs).toEqual([150])
})

test('with nothing awaited it stays quiet and sets no timer', async () => {
  const { clock, state, expectIn } = setUp()
  expectIn(100)
  state.earliest = Number.POSITIVE_INFINITY
  clock.advance(1_000)
  await turn()
  expect(state.passed).toBe(0)
  expect(clock.pendingDelaysMs).toEqual([])
})

test('what arrives in the last turn counts', async () => {
  const { clock, state, expectIn } = setUp()
  expectIn(100)
  clock.advanceLate(5_000)
  state.earliest = Number.POSITIVE_INFINITY
  await turn()
  expect(state.passed).toBe(0)
})

test('it looks again while something arrives, and not for ever', async () => {
  const { clock, state, expectIn } = setUp()
  expectIn(100)
  clock.advanceLate(5_000)
  for (let turns = 0; turns < 31; turns++) {
    state.progress++
    await turn()
    expect(state.passed, `turn ${turns}`).toBe(0)
  }
  state.progress++
  await turn()
  expect(state.passed).toBe(1)
})

test('once stopped it never passes and sets no timer', async () => {
  const { clock, state, deadline, expectIn } = setUp()
  expectIn(100)
  clock.advanceLate(100)
  deadline.stop()
  expectIn(100)
  await turn()
  expect(state.passed).toBe(0)
  expect(clock.pendingDelaysMs).toEqual([])
})
