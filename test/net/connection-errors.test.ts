import { expect, test } from 'vitest'
import { kafkaError } from '../../src/errors.ts'
import { ConnectionErrors, errorText } from '../../src/net/connection-errors.ts'

const errors = new ConnectionErrors('broker 2 at b:9092')
const systemError = (code: string): Error => Object.assign(new Error(`write ${code}`), { code })

test.each([
  ['by the broker', undefined, {}, 'the broker closed the connection with 2 requests under way', undefined],
  ['with one request', undefined, { inFlightCount: 1 }, 'with 1 request under way', undefined],
  [
    'inside an answer',
    undefined,
    { isInsideAnswer: true },
    '2 requests under way, in the middle of an answer',
    undefined,
  ],
  ['by an error', systemError('EPIPE'), {}, 'the connection was lost (EPIPE) with', undefined],
  ['in the handshake', undefined, { hasShakenHands: false }, '', 'The listener may expect TLS, or may not be Kafka'],
  ['at the first request', undefined, { answerCount: 0 }, '', 'The listener may require SASL'],
  ['without ever being used', undefined, { answerCount: 0, inFlightCount: 0 }, '', undefined],
])('a connection that is lost %s says so', (_how, error, context, text, hint) => {
  const usual = { inFlightCount: 2, isInsideAnswer: false, hasShakenHands: true, answerCount: 9 }
  const lost = errors.lost(error, { ...usual, ...context })
  expect(lost).toMatchObject({ code: 'CONNECTION_CLOSED', retriable: true, broker: 'broker 2 at b:9092', hint })
  expect(lost.message).toMatch(/^broker 2 at b:9092: the /)
  expect(lost.message).toContain(text)
  expect(lost.cause).toBe(error)
})

test('an error that names its broker is kept as it is', () => {
  const error = kafkaError('NOT_KAFKA', 'no', { broker: 'b:9092' })
  expect(errors.thrown(error, 'reading')).toBe(error)
})

test('one that does not keeps its code and gets the name', () => {
  const error = kafkaError('PROTOCOL_ERROR', 'int32 of 4 bytes')
  expect(errors.thrown(error, 'an answer cannot be read')).toMatchObject({
    code: 'PROTOCOL_ERROR',
    broker: 'broker 2 at b:9092',
    message: 'broker 2 at b:9092: an answer cannot be read: int32 of 4 bytes',
    cause: error,
  })
})

test('anything else is a fault of ours', () => {
  const error = new TypeError('x is not a function')
  expect(errors.thrown(error, 'reading')).toMatchObject({ code: 'INTERNAL', cause: error })
  expect(errors.thrown('text', 'reading').message).toBe('broker 2 at b:9092: reading: text')
})

test("the system's code says more than its message", () => {
  expect(errorText(systemError('ECONNREFUSED'))).toBe('ECONNREFUSED')
  expect(errorText(new Error('plain'))).toBe('plain')
  expect(errorText(7)).toBe('7')
})
