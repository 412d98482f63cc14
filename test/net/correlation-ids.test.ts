import { expect, test } from 'vitest'
import { CorrelationIds } from '../../src/net/correlation-ids.ts'

test('ids count up from 0 and wrap from 2^31-1 to 0', () => {
  const fromZero = new CorrelationIds()
  expect([1, 2, 3].map(() => fromZero.next(true))).toEqual([0, 1, 2])
  const ids = new CorrelationIds(2_147_483_646)
  expect([1, 2, 3, 4].map(() => ids.next(true))).toEqual([2_147_483_646, 2_147_483_647, 0, 1])
})

test('every id of a request without an answer is remembered, and no other', () => {
  const ids = new CorrelationIds(2_147_483_645)
  const expectsAnswer = [false, false, true, false, false, true, false]
  const given = expectsAnswer.map((expects) => ids.next(expects))
  expect(given.map((id) => ids.isUnanswered(id))).toEqual(expectsAnswer.map((expects) => !expects))
  expect(ids.isUnanswered(4)).toBe(false)
})

test('a million requests in a row with acks 0 are remembered as one run', () => {
  const ids = new CorrelationIds()
  for (let index = 0; index < 1_000_000; index++) ids.next(false)
  expect([0, 500_000, 999_999, 1_000_000].map((id) => ids.isUnanswered(id))).toEqual([true, true, true, false])
})

test('of many runs the 16 latest are remembered', () => {
  const ids = new CorrelationIds()
  for (let index = 0; index < 20; index++) {
    ids.next(false)
    ids.next(true)
  }
  expect([6, 8, 38].map((id) => ids.isUnanswered(id))).toEqual([false, true, true])
})
