// That the table is Kafka's is asked in test/oracle and in oracle-extract.test.ts.
import { describe, expect, test } from 'vitest'
import { brokerError, brokerErrors } from '../../src/protocol/error-codes.ts'

test('every code from -1 to 136 is there once, in order', () => {
  expect(brokerErrors.map((error) => error.code)).toEqual(Array.from({ length: 138 }, (_, index) => index - 1))
  expect(new Set(brokerErrors.map((error) => error.name)).size).toBe(138)
})

test('what needs new metadata can also be retried', () => {
  expect(brokerErrors.filter((error) => error.refreshMetadata && !error.retriable)).toEqual([])
})

test('every error says what it means, in a sentence', () => {
  for (const { meaning } of brokerErrors) expect(meaning).toMatch(/^[A-Za-z'].*\.$/)
  expect(new Set(brokerErrors.map((error) => error.meaning)).size).toBe(138)
})

describe('an error is found by its code', () => {
  test.each([
    [0, 'NONE', false, false],
    [3, 'UNKNOWN_TOPIC_OR_PARTITION', true, true],
    [6, 'NOT_LEADER_OR_FOLLOWER', true, true],
    [7, 'REQUEST_TIMED_OUT', true, false],
    [10, 'MESSAGE_TOO_LARGE', false, false],
    [19, 'NOT_ENOUGH_REPLICAS', true, false],
    [45, 'OUT_OF_ORDER_SEQUENCE_NUMBER', false, false],
    [100, 'UNKNOWN_TOPIC_ID', true, true],
    [129, 'REBOOTSTRAP_REQUIRED', false, false],
  ])('%s is %s', (code, name, retriable, refreshMetadata) => {
    expect(brokerError(code)).toEqual(expect.objectContaining({ code, name, retriable, refreshMetadata }))
  })

  test.each([137, -2, 32_767])(
    '%s, which Kafka 4.4 does not have, is UNKNOWN_SERVER_ERROR and says the number',
    (code) => {
      expect(brokerError(code)).toEqual({
        ...brokerError(-1),
        meaning: `The broker answered with error ${code}, which is unknown here.`,
      })
    },
  )
})
