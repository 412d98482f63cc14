import { AsyncLocalStorage } from 'node:async_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { Producer, type ProducerOptions } from '../../src/index.ts'
import { type Dial, tcpDial } from '../../src/net/dial.ts'
import { deferred } from '../support/fake-cluster/deferred.ts'
import { failureOf, filler, records, turns, until, useStand, watch } from '../support/stand.ts'

const stand = useStand()
const storage = new AsyncLocalStorage<string>()

/** Notes in which context each connection is made. */
function notingDial(): { dial: Dial; contexts: (string | undefined)[] } {
  const contexts: (string | undefined)[] = []
  const dial: Dial = (target) => {
    contexts.push(storage.getStore())
    return tcpDial(target)
  }
  return { dial, contexts }
}

describe("the caller's async context", () => {
  test('does not leak into connections, whichever member needs them first', async () => {
    const cluster = await stand.cluster({ topics: { orders: 2 } })
    const uses = {
      send: (producer: ReturnType<typeof stand.producer>) => producer.send({ topic: 'orders', value: 'v' }),
      enqueue: (producer: ReturnType<typeof stand.producer>) => {
        producer.enqueue({ topic: 'orders', value: 'v' })
        return producer.flush()
      },
      sendMany: (producer: ReturnType<typeof stand.producer>) => producer.sendMany(records('orders', 2)),
      partitionsFor: (producer: ReturnType<typeof stand.producer>) => producer.partitionsFor('orders'),
      connect: (producer: ReturnType<typeof stand.producer>) => producer.connect(),
    }
    for (const [member, use] of Object.entries(uses)) {
      const { dial, contexts } = notingDial()
      const producer = stand.producer(cluster, { dial })
      await stand.settled(storage.run('a request', (): Promise<unknown> => use(producer)))
      expect(contexts.length, member).toBeGreaterThan(0)
      expect(new Set(contexts), member).toEqual(new Set([undefined]))
    }
  })

  test('does not leak into reconnections, timers and refreshed metadata', async () => {
    const cluster = await stand.cluster({ brokers: 2, topics: { orders: 2 } })
    const { dial, contexts } = notingDial()
    const producer = stand.producer(cluster, {
      dial,
      maxBlockMs: 4_000,
      deliveryTimeoutMs: 20_000,
      requestTimeoutMs: 5_000,
    })
    const sent = storage.run('a request', () => [
      producer.send({ topic: 'orders', partition: 0, value: 'v' }),
      producer.send({ topic: 'orders', partition: 1, value: 'v' }),
    ])
    await stand.settled(Promise.all(sent))
    cluster.resetConnections()
    await turns(20)
    const late = storage.run('another request', () => [
      watch(producer.send({ topic: 'orders', partition: 9, value: 'v' })),
      watch(producer.send({ topic: 'ordesr', value: 'v' })),
    ])
    await stand.pass(6_000)
    expect(late.map(({ error }) => error?.code)).toEqual(['INVALID_PARTITION', 'UNKNOWN_TOPIC_OR_PARTITION'])
    expect(contexts.length).toBeGreaterThan(3)
    expect(new Set(contexts)).toEqual(new Set([undefined]))
  })

  test('is not that of callbacks: those run in the context in which the producer was made', async () => {
    const cluster = await stand.cluster()
    const producer = storage.run('the producer', () => stand.producer(cluster))
    const contexts: (string | undefined)[] = []
    storage.run('a request', () => {
      producer.enqueue({ topic: 'orders', value: 'v' }, () => contexts.push(storage.getStore()))
      producer.enqueue({ topic: 'orders', value: 7 as never }, () => contexts.push(storage.getStore()))
    })
    await stand.settled(producer.flush())
    expect(contexts).toEqual(['the producer', 'the producer'])
  })

  test('is that of the caller again behind await', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    const seen = storage.run('a request', async () => {
      await producer.send({ topic: 'orders', value: 'v' })
      return storage.getStore()
    })
    expect(await stand.settled(seen)).toBe('a request')
  })

  test('is not kept: with real timers and sockets too, nothing of it is reachable once its record has settled', async () => {
    const cluster = await stand.cluster()
    const producer = new Producer({ bootstrapServers: cluster.bootstrapServers, logger: stand.log })
    const requests = new AsyncLocalStorage<object>()
    const kept = await sendWithin(requests, producer)
    setFlagsFromString('--expose-gc')
    const collectGarbage = runInNewContext('gc') as () => void
    for (let i = 0; i < 20 && kept.deref() !== undefined; i++) {
      await turns(3)
      collectGarbage()
    }
    expect(kept.deref()).toBeUndefined()
    await producer.close()
  })
})

/** Sends from within a request of which nothing is left but this. */
async function sendWithin(requests: AsyncLocalStorage<object>, producer: Producer): Promise<WeakRef<object>> {
  const request = { body: 'large' }
  await requests.run(request, () => producer.send({ topic: 'orders', value: 'v' }))
  await requests.run(request, () => producer.partitionsFor('orders'))
  return new WeakRef(request)
}

describe('an idle producer', () => {
  test('keeps no process alive: before its first record, nor after the last one has settled', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    expect(stand.clock.keepAliveCount).toBe(0)
    const sent = producer.send({ topic: 'orders', value: 'v' })
    await turns(2)
    expect(stand.clock.keepAliveCount).toBeGreaterThan(0)
    await stand.settled(sent)
    await until(() => stand.clock.keepAliveCount === 0, 'the timers that keep the process alive to end')
  })

  test('asks for no turn of the event loop', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    await stand.settled(producer.send({ topic: 'orders', value: 'v' }))
    await turns(20)
    let turnsAsked = 0
    const soon = stand.clock.soon.bind(stand.clock)
    stand.clock.soon = (callback) => {
      turnsAsked++
      soon(callback)
    }
    await turns(50)
    expect(turnsAsked).toBe(0)
  })

  test('wakes up once for deadlines that were met, and then only for what the cluster needs every few minutes', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    await stand.settled(producer.send({ topic: 'orders', value: 'v' }))
    await turns(20)
    let wakeUps = 0
    const set = stand.clock.setTimer.bind(stand.clock)
    stand.clock.setTimer = (delayMs, callback, keepAlive) =>
      set(
        delayMs,
        () => {
          wakeUps++
          callback()
        },
        keepAlive,
      )
    await stand.pass(600_000, 10_000)
    expect(wakeUps).toBeLessThanOrEqual(8)
  })

  test('waits for an answer without turning the event loop', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const sent = producer.send({ topic: 'orders', value: 'v' })
    await cluster.untilSeen('Produce', 2)
    await turns(20)
    let turnsAsked = 0
    const soon = stand.clock.soon.bind(stand.clock)
    stand.clock.soon = (callback) => {
      turnsAsked++
      soon(callback)
    }
    await turns(50)
    expect(turnsAsked).toBe(0)
    gate.resolve()
    await stand.settled(sent)
  })

  test.each([
    ['room', { bufferMemory: 8_192, batchSize: 4_096 } satisfies Partial<ProducerOptions>],
    ['metadata', {}],
  ])('that waits for %s does not turn the event loop either', async (_what, options) => {
    const producer = stand.producer(null, options)
    const sent = Array.from({ length: 4 }, () => watch(producer.send({ topic: 'orders', value: filler(3_500) })))
    await turns(20)
    let turnsAsked = 0
    const soon = stand.clock.soon.bind(stand.clock)
    stand.clock.soon = (callback) => {
      turnsAsked++
      soon(callback)
    }
    await turns(50)
    expect(turnsAsked).toBe(0)
    expect(sent.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending', 'pending'])
  })
})

describe('a producer that has failed for good', () => {
  test('fails what is out, what waits and what comes with that error, and says so', async () => {
    const cluster = await stand.cluster()
    cluster.on('InitProducerId').error('CLUSTER_AUTHORIZATION_FAILED')
    const producer = stand.producer(cluster, { bufferMemory: 8_192, batchSize: 4_096 })
    const sent = Array.from({ length: 4 }, () => watch(producer.send({ topic: 'orders', value: filler(3_500) })))
    const many = watch(producer.sendMany(records('orders', 2)))
    const ready = watch(producer.ready())
    await until(() => many.state !== 'pending', 'everything to fail')
    for (const { error } of sent) {
      expect(error).toMatchObject({ code: 'CLUSTER_AUTHORIZATION_FAILED', fatal: true, persisted: 'no' })
    }
    expect(many.error).toMatchObject({ code: 'SEND_MANY_FAILED', fatal: true })
    expect(ready.error?.code).toBe('CLUSTER_AUTHORIZATION_FAILED')
    const told: unknown[] = []
    producer.enqueue({ topic: 'orders', value: 'v' }, (error) => told.push(error?.code))
    expect((await failureOf(producer.send({ topic: 'orders', value: 'v' }))).code).toBe('CLUSTER_AUTHORIZATION_FAILED')
    expect((await failureOf(producer.ready())).code).toBe('CLUSTER_AUTHORIZATION_FAILED')
    expect((await failureOf(producer.partitionsFor('orders'))).code).toBe('CLUSTER_AUTHORIZATION_FAILED')
    await turns(3)
    expect(told).toEqual(['CLUSTER_AUTHORIZATION_FAILED'])
    expect(producer.health()).toMatchObject({ fatalError: { code: 'CLUSTER_AUTHORIZATION_FAILED' } })
    expect(stand.log.at('error')).toMatchObject([{ fields: { code: 'CLUSTER_AUTHORIZATION_FAILED' } }])
    await until(() => stand.clock.keepAliveCount === 0, 'nothing to keep the process alive')
    expect(await producer.close()).toEqual({ delivered: 0, failed: 0, abandoned: 0 })
  })
})

describe('a turn', () => {
  test('takes everything sent in it into one request', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    const sent = records('orders', 100).map((record) => producer.send(record))
    await stand.settled(Promise.all(sent))
    expect(cluster.seen('Produce')).toHaveLength(2)
    expect(cluster.batches('orders', 0)).toHaveLength(2)
  })

  test('calls back only when the next request is on its way', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, { maxInFlightRequestsPerConnection: 1 })
    const inCallback: number[] = []
    producer.enqueue({ topic: 'orders', value: 'a' }, () => inCallback.push(producer.metrics().requestsInFlight))
    await cluster.untilSeen('Produce', 2)
    producer.enqueue({ topic: 'orders', value: 'b' }, () => inCallback.push(producer.metrics().requestsInFlight))
    await stand.settled(producer.flush())
    expect(inCallback).toEqual([1, 0])
  })

  test('a callback may call any member, itself included', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    const inner: Promise<unknown>[] = []
    producer.enqueue({ topic: 'orders', value: 'a' }, () => {
      inner.push(
        producer.send({ topic: 'orders', value: 'b' }),
        producer.sendMany([{ topic: 'orders', value: 'c' }]),
        producer.flush(),
        producer.ready(),
        producer.partitionsFor('orders'),
      )
      producer.enqueue({ topic: 'orders', value: 'd' }, () => inner.push(Promise.resolve('d')))
      expect(producer.health().state).toBe('open')
      expect(producer.metrics().recordsPending).toBeGreaterThan(0)
    })
    await stand.settled(producer.flush())
    await stand.settled(Promise.all(inner))
    await stand.settled(producer.flush())
    expect(inner).toHaveLength(6)
    expect(cluster.values('orders', 0)).toEqual(['a', 'b', 'c', 'd'])
  })
})

describe('interceptors', () => {
  test('see every outcome once: delivered, failed, refused, too late', async () => {
    const cluster = await stand.cluster({ topics: { good: 1, bad: 1 } })
    cluster.on('Produce', { topic: 'bad' }).error('INVALID_RECORD')
    const seen: string[] = []
    const producer = stand.producer(cluster, {
      interceptors: [{ onAcknowledgement: (metadata, error) => seen.push(metadata?.topic ?? error!.code) }],
    })
    const sent = [
      producer.send({ topic: 'good', value: 'v' }),
      failureOf(producer.send({ topic: 'bad', value: 'v' })),
      failureOf(producer.send({ topic: 'good', value: 7 as never })),
      failureOf(producer.send({ topic: 'good', value: 'v' }, { signal: AbortSignal.abort() })),
    ]
    await stand.settled(Promise.all(sent))
    await producer.close()
    await failureOf(producer.send({ topic: 'good', value: 'v' }))
    expect(seen.sort()).toEqual(['ABORTED', 'CLOSED', 'INVALID_RECORD', 'SERIALIZATION_FAILED', 'good'])
  })
})
