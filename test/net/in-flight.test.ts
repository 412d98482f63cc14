import { expect, test } from 'vitest'
import type { Pending } from '../../src/net/exchange.ts'
import { InFlight } from '../../src/net/in-flight.ts'
import { apiVersions } from '../../src/protocol/messages/api-versions.ts'

const pending = (correlationId: number, deadlineAt: number, expectsAnswer = true): Pending => ({
  api: apiVersions as Pending['api'],
  options: { version: 0, timeoutMs: 1, expectsAnswer },
  correlationId,
  mayBeOnTheWire: true,
  deadlineAt,
  exchange: { onAnswer() {}, onFailed() {} },
})

test('an answer belongs to the oldest that expects one', () => {
  const inFlight = new InFlight()
  const [silent, first, second] = [pending(0, 9, false), pending(1, 9), pending(2, 9)]
  for (const each of [silent, first, second]) inFlight.add(each)
  expect(inFlight.count).toBe(3)
  expect(inFlight.oldest).toBe(first)
  inFlight.answered()
  expect(inFlight.oldest).toBe(second)
  inFlight.written(silent)
  expect(inFlight.count).toBe(1)
})

test('what expects an answer is not over when it is written', () => {
  const inFlight = new InFlight()
  const only = pending(0, 9)
  inFlight.add(only)
  inFlight.written(only)
  expect(inFlight.oldest).toBe(only)
})

test('the most urgent is the one with the earliest deadline, wherever it stands', () => {
  const inFlight = new InFlight()
  expect(inFlight.mostUrgent).toBeUndefined()
  const [late, soon, silent] = [pending(0, 30), pending(1, 20), pending(2, 10, false)]
  for (const each of [late, soon, silent]) inFlight.add(each)
  expect(inFlight.mostUrgent).toBe(silent)
  inFlight.written(silent)
  expect(inFlight.mostUrgent).toBe(soon)
})

test('a throttle extends every deadline', () => {
  const inFlight = new InFlight()
  const all = [pending(0, 30), pending(1, 20, false)]
  for (const each of all) inFlight.add(each)
  inFlight.extendDeadlines(5)
  expect(all.map((each) => each.deadlineAt)).toEqual([35, 25])
})

test('all are taken out once', () => {
  const inFlight = new InFlight()
  const all = [pending(0, 1), pending(1, 1), pending(2, 1)]
  for (const each of all) inFlight.add(each)
  expect(inFlight.removeAll()).toEqual(all)
  expect(inFlight.removeAll()).toEqual([])
  expect(inFlight.count).toBe(0)
})
