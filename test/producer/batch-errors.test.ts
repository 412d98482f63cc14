// What a user reads when a broker refused a batch, or never answered for it.
import { describe, expect, test } from 'vitest'
import { kafkaError } from '../../src/errors.ts'
import type { Batch } from '../../src/producer/batch.ts'
import { brokerFault, nobodyCanSay, recordFault } from '../../src/producer/batch-errors.ts'
import type { Answer } from '../../src/producer/outcome.ts'
import { brokerError } from '../../src/protocol/error-codes.ts'

const WHERE = 'broker 2 at kafka-2:9092'
const NOT_ENOUGH_REPLICAS = brokerError(19)
const INVALID_RECORD = brokerError(87)

const batchOf = (changes: Partial<Batch> = {}): Batch =>
  ({
    topicName: 'orders',
    partitionIndex: 3,
    count: 5,
    byteLength: 700,
    attempts: 2,
    lastError: null,
    ...changes,
  }) as Batch

const refused = (changes: Partial<Extract<Answer, { kind: 'answered' }>> = {}): Answer => ({
  kind: 'answered',
  errorCode: 19,
  baseOffset: -1,
  logAppendTimeMs: -1,
  logStartOffset: -1,
  errorMessage: null,
  recordErrors: [],
  ...changes,
})

describe('a refusal', () => {
  test("is named as Kafka names it, and says who refused what, in the broker's words if it has any", () => {
    const silent = brokerFault(NOT_ENOUGH_REPLICAS, batchOf(), refused(), WHERE, {})
    expect(silent.message).toBe(
      `${WHERE} refused the batch of 5 records for orders-3: ${NOT_ENOUGH_REPLICAS.meaning} ${silent.hint}`,
    )
    expect(silent).toMatchObject({
      code: 'NOT_ENOUGH_REPLICAS',
      topic: 'orders',
      partition: 3,
      broker: WHERE,
      retriable: true,
    })
    const outspoken = brokerFault(INVALID_RECORD, batchOf({ count: 1 }), refused({ errorMessage: 'no key' }), WHERE, {})
    expect(outspoken.message).toBe(`${WHERE} refused the record for orders-3: no key`)
    const precise = refused({
      errorMessage: 'one is wrong',
      recordErrors: [{ batchIndex: 2, batchIndexErrorMessage: 'bad' }],
    })
    expect(brokerFault(INVALID_RECORD, batchOf(), precise, WHERE, {}).message).toContain('orders-3: bad')
  })

  test.each([
    [10, 'max.message.bytes of topic orders'],
    [19, 'min.insync.replicas'],
    [29, 'Grant Write on topic orders'],
    [31, 'IdempotentWrite'],
    [32, 'message.timestamp.before.max.ms'],
  ])('with code %i has a hint', (code, part) => {
    expect(brokerFault(brokerError(code), batchOf(), refused(), WHERE, {}).hint).toContain(part)
  })

  test('of one record is about that one', () => {
    const error = recordFault(INVALID_RECORD, batchOf(), 'no key', WHERE)
    expect(error.message).toBe(`${WHERE} refused this record for orders-3: no key`)
    expect(error).toMatchObject({ code: 'INVALID_RECORD', topic: 'orders', partition: 3, attempts: 2, persisted: 'no' })
  })
})

describe('an answer that never came', () => {
  test('is told in the words of the connection, under its code', () => {
    const cause = kafkaError('CONNECTION_CLOSED', `${WHERE} hung up`)
    const error = brokerFault(NOT_ENOUGH_REPLICAS, batchOf(), { kind: 'lost', mayBeOnTheWire: true, cause }, WHERE, {
      persisted: 'possibly',
    })
    expect(error).toMatchObject({ code: 'CONNECTION_CLOSED', cause, persisted: 'possibly', broker: WHERE })
    expect(error.message).toBe(`no answer for the batch of 5 records for orders-3: ${WHERE} hung up`)
  })

  test('because the answer passed the batch over is NETWORK_EXCEPTION', () => {
    const error = brokerFault(NOT_ENOUGH_REPLICAS, batchOf({ count: 1 }), { kind: 'missing' }, WHERE, {})
    expect(error.code).toBe('NETWORK_EXCEPTION')
    expect(error.message).toBe(
      `no answer for the record for orders-3: ${WHERE} answered the request without a word about it`,
    )
  })
})

test('a batch that nobody can say anything of any more is possibly in the log', () => {
  const lastError = kafkaError('OUT_OF_ORDER_SEQUENCE_NUMBER', 'out of order')
  const error = nobodyCanSay(batchOf({ lastError }))
  expect(error).toMatchObject({
    code: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
    persisted: 'possibly',
    cause: lastError,
    attempts: 2,
  })
  expect(error.message).toContain('orders-3 cannot say any more whether it has the batch of 5 records')
})
