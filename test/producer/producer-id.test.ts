import Long from 'long'
import { describe, expect, test } from 'vitest'
import { type KafkaError, kafkaError } from '../../src/errors.ts'
import type { BrokerPool } from '../../src/net/broker-pool.ts'
import { ProducerId } from '../../src/producer/producer-id.ts'
import { StepClock } from '../support/producer/step-clock.ts'
import { RecordingLog } from '../support/recording-log.ts'

interface Asked {
  readonly request: object
  readonly options: object | undefined
  readonly answer: (response: { errorCode?: number; producerId?: Long; producerEpoch?: number }) => Promise<void>
  readonly fail: (error: unknown) => Promise<void>
}

/** A producer id whose requests the test answers. */
function stage({ isNeeded = true } = {}) {
  const clock = new StepClock()
  const log = new RecordingLog()
  const asked: Asked[] = []
  const readyCounts: number[] = []
  const fatal: KafkaError[] = []
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 8; i++) await undefined
  }
  const control = (_api: object, request: object, options?: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      asked.push({
        request,
        options,
        answer: (response) => {
          resolve({ throttleTimeMs: 0, errorCode: 0, producerId: Long.fromNumber(42), producerEpoch: 0, ...response })
          return turns()
        },
        fail: (error) => {
          reject(error)
          return turns()
        },
      })
    })
  const producerId: ProducerId = new ProducerId(
    { control } as unknown as BrokerPool,
    { retryBackoffMs: 100, retryBackoffMaxMs: 1_000, clock, random: () => 0.5 },
    log,
    () => {
      readyCounts.push(asked.length)
      if (isNeeded) producerId.get()
    },
    (error) => fatal.push(error),
  )
  return { clock, log, asked, readyCounts, fatal, producerId }
}

describe('the first time', () => {
  test('it is asked for once, however often it is needed, and told when it is there', async () => {
    const { producerId, asked, readyCounts } = stage()
    expect(asked).toEqual([])
    expect([producerId.get(), producerId.get(), producerId.get()]).toEqual([null, null, null])
    expect(asked.length).toBe(1)
    await asked[0]!.answer({ producerId: Long.fromBits(7, 3), producerEpoch: 5 })
    expect(readyCounts).toEqual([1])
    expect(producerId.get()).toEqual({ producerIdHigh: 3, producerIdLow: 7, firstEpoch: 5 })
    expect(producerId.get()).toBe(producerId.get())
    expect(asked.length).toBe(1)
  })

  test('without a transactional id, for as long as can be, as somebody new', () => {
    const { producerId, asked } = stage()
    producerId.get()
    expect(asked[0]!.request).toMatchObject({
      transactionalId: null,
      transactionTimeoutMs: 2_147_483_647,
      producerId: Long.NEG_ONE,
      producerEpoch: -1,
    })
    expect(asked[0]!.options).toMatchObject({ keepAlive: false })
  })
})

describe('when it is not given', () => {
  test.each([
    ['COORDINATOR_LOAD_IN_PROGRESS', 14],
    ['COORDINATOR_NOT_AVAILABLE', 15],
    ['CONCURRENT_TRANSACTIONS', 51],
  ])('%s: it is asked for again, less and less often', async (name, errorCode) => {
    const { producerId, asked, clock, fatal } = stage()
    producerId.get()
    for (const waitMs of [100, 200, 400, 800, 1_000, 1_000]) {
      const count = asked.length
      await asked[count - 1]!.answer({ errorCode })
      expect(producerId.lastError).toMatchObject({ code: name, retriable: true, fatal: false })
      expect(producerId.get()).toBeNull()
      clock.advance(waitMs - 1)
      expect(asked.length).toBe(count)
      clock.advance(1)
      expect(asked.length).toBe(count + 1)
    }
    await asked.at(-1)!.answer({})
    expect(producerId.get()).not.toBeNull()
    expect(producerId.lastError).toBeNull()
    expect(fatal).toEqual([])
  })

  test('it is not asked for again as long as nobody needs it', async () => {
    const { producerId, asked, clock, readyCounts } = stage({ isNeeded: false })
    producerId.get()
    await asked[0]!.answer({ errorCode: 14 })
    clock.advance(100)
    expect(readyCounts).toEqual([1])
    clock.advance(10_000)
    expect(asked.length).toBe(1)
    expect(clock.pendingDelaysMs).toEqual([])
    producerId.get()
    expect(asked.length).toBe(2)
  })

  test('a connection that fails is tried again too', async () => {
    const { producerId, asked, clock } = stage()
    producerId.get()
    await asked[0]!.fail(kafkaError('BOOTSTRAP_FAILED', 'nobody there'))
    expect(producerId.lastError?.code).toBe('BOOTSTRAP_FAILED')
    clock.advance(100)
    expect(asked.length).toBe(2)
  })

  test('whatever else is thrown counts as a failure of ours, and is tried again', async () => {
    const { producerId, asked, clock } = stage()
    producerId.get()
    await asked[0]!.fail(new TypeError('oh'))
    expect(producerId.lastError).toMatchObject({ code: 'INTERNAL', cause: expect.any(TypeError) })
    clock.advance(100)
    expect(asked.length).toBe(2)
  })

  test('the first failures of a cluster that has just started alarm nobody', async () => {
    const { producerId, asked, clock, log } = stage()
    producerId.get()
    for (let i = 0; i < 5; i++) {
      await asked.at(-1)!.answer({ errorCode: 14 })
      clock.advance(1_000)
    }
    expect(log.at('warn')).toEqual([])
    await asked.at(-1)!.answer({ errorCode: 14 })
    expect(log.at('warn').length).toBe(1)
  })

  test.each([
    ['CLUSTER_AUTHORIZATION_FAILED', 31],
    ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 53],
    ['INVALID_REQUEST', 42],
    ['UNSUPPORTED_VERSION', 35],
  ])('%s ends the producer, and nobody is asked again', async (name, errorCode) => {
    const { producerId, asked, clock, fatal } = stage()
    producerId.get()
    await asked[0]!.answer({ errorCode })
    expect(fatal.map(({ code, fatal: isFatal, retriable }) => [code, isFatal, retriable])).toEqual([
      [name, true, false],
    ])
    expect(producerId.get()).toBeNull()
    clock.advance(10_000)
    expect(asked.length).toBe(1)
  })

  test('a refusal for lack of rights says what to do', async () => {
    const { producerId, asked, fatal } = stage()
    producerId.get()
    await asked[0]!.answer({ errorCode: 31 })
    expect(fatal[0]!.hint).toContain('IdempotentWrite')
  })

  test('a cluster that does not know the request at all ends the producer', async () => {
    const { producerId, asked, fatal } = stage()
    producerId.get()
    await asked[0]!.fail(kafkaError('UNSUPPORTED_VERSION', 'the broker does not offer InitProducerId'))
    expect(fatal.map(({ code }) => code)).toEqual(['UNSUPPORTED_VERSION'])
  })
})

describe('when its epochs are used up', () => {
  test('another one is asked for at the next need', async () => {
    const { producerId, asked } = stage()
    producerId.get()
    await asked[0]!.answer({ producerId: Long.fromNumber(1) })
    const first = producerId.get()!
    producerId.renew(first)
    expect(asked.length).toBe(1)
    expect(producerId.get()).toBeNull()
    expect(asked.length).toBe(2)
    await asked[1]!.answer({ producerId: Long.fromNumber(2) })
    expect(producerId.get()).toMatchObject({ producerIdLow: 2 })
  })

  test('for the second partition too: once for both', async () => {
    const { producerId, asked } = stage()
    producerId.get()
    await asked[0]!.answer({ producerId: Long.fromNumber(1) })
    const first = producerId.get()!
    producerId.renew(first)
    producerId.get()
    await asked[1]!.answer({ producerId: Long.fromNumber(2) })
    producerId.renew(first)
    expect(producerId.get()).toMatchObject({ producerIdLow: 2 })
    expect(asked.length).toBe(2)
  })
})

describe('closed', () => {
  test('nothing is asked for any more, and no timer is left', async () => {
    const { producerId, asked, clock } = stage()
    producerId.get()
    await asked[0]!.answer({ errorCode: 14 })
    producerId.close()
    expect(clock.pendingDelaysMs).toEqual([])
    expect(producerId.get()).toBeNull()
    expect(asked.length).toBe(1)
  })

  test('an answer that comes after it changes nothing', async () => {
    for (const outcome of ['answer', 'refuse', 'fail'] as const) {
      const { producerId, asked, readyCounts, fatal, clock } = stage()
      producerId.get()
      producerId.close()
      if (outcome === 'fail') await asked[0]!.fail(kafkaError('CLOSED', 'closed'))
      else await asked[0]!.answer({ errorCode: outcome === 'refuse' ? 31 : 0 })
      expect([readyCounts, fatal, producerId.get(), clock.pendingDelaysMs]).toEqual([[], [], null, []])
    }
  })
})
