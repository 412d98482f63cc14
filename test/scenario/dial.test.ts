// `connect` and `dial`: the one door to the network, and streams behind it that cut, hold back and delay bytes as networks do.
import { connect as tcpConnect } from 'node:net'
import { Duplex } from 'node:stream'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Dial } from '../../src/index.ts'
import { NO_FAULTS } from '../support/fake-cluster/verify.ts'
import { deferred, failureOf, numbered, turns, useStage } from './stage.ts'

const stage = useStage()

/** A stream over a real socket, whose bytes pass through the test's hands in both directions. */
function tunnel(
  host: string,
  port: number,
  hands: {
    /** Splits what came in. */
    readonly cut?: (chunk: Buffer) => Buffer[]
    /** Holds a chunk that is to go out until its promise settles. */
    readonly hold?: (chunk: Buffer) => Promise<void>
    /** Holds the callback of a chunk that has gone out. */
    readonly linger?: (chunk: Buffer) => Promise<void>
  },
): Promise<Duplex> {
  const socket = tcpConnect({ host, port })
  const stream = new Duplex({
    read() {},
    // All pieces of a request at once, as a socket does it with one writev.
    writev(chunks, done) {
      const pieces = chunks.map(({ chunk }) => chunk as Buffer)
      Promise.all(pieces.map((piece) => hands.hold?.(piece)))
        .then(() => {
          socket.write(Buffer.concat(pieces))
          return Promise.all(pieces.map((piece) => hands.linger?.(piece)))
        })
        .then(() => done(), done)
    },
    final(done) {
      socket.end(done)
    },
    destroy(error, done) {
      socket.destroy()
      done(error)
    },
  })
  socket.on('data', (chunk) => {
    for (const piece of hands.cut?.(chunk) ?? [chunk]) stream.push(piece)
  })
  socket.on('error', (error) => stream.destroy(error))
  socket.on('close', () => stream.destroy())
  const connected = deferred<Duplex>()
  socket.once('connect', () => connected.resolve(stream))
  socket.once('error', (error) => connected.reject(error))
  return connected.promise
}

describe('connect', () => {
  test('reaches the cluster now, and what is sent then uses the same connections', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.connect()
    expect(cluster.seen('Metadata').length).toBeGreaterThan(0)
    const connections = cluster.connections.length
    expect(connections).toBeGreaterThan(0)
    await producer.connect()
    await producer.send({ topic: 'orders', value: 'v' })
    expect(cluster.connections.length).toBeLessThanOrEqual(2)
    expect(producer.health()).toMatchObject({ state: 'open', brokersKnown: 1, brokersReachable: 1, lastError: null })
  })

  test('may be called by many at once', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await Promise.all(Array.from({ length: 10 }, () => producer.connect()))
    expect(cluster.seen('Metadata')).toHaveLength(1)
  })
})

describe('dial', () => {
  test('is asked for each connection, with host, port and a signal', async () => {
    const cluster = await stage.cluster()
    const asked: { host: string; port: number; aborted: boolean }[] = []
    const dial: Dial = ({ host, port, signal }) => {
      asked.push({ host, port, aborted: signal.aborted })
      return tunnel(host, port, {})
    }
    await stage.producer(cluster, { dial }).send({ topic: 'orders', value: 'v' })
    const [host, port] = cluster.address(1).split(':')
    expect(asked).toEqual([
      { host, port: Number(port), aborted: false },
      { host, port: Number(port), aborted: false },
    ])
  })

  test('that rejects is tried again, and its error is what connect ends with', async () => {
    const cluster = await stage.cluster()
    let failures = 3
    const dial: Dial = ({ host, port }) => {
      if (failures-- > 0) return Promise.reject(new Error('the tunnel is not up'))
      return tunnel(host, port, {})
    }
    expect(await stage.producer(cluster, { dial }).send({ topic: 'orders', value: 'v' })).toMatchObject({ offset: 0 })
    const never = stage.producer(cluster, {
      dial: () => Promise.reject(new Error('the tunnel is not up')),
      maxBlockMs: 400,
    })
    expect((await failureOf(never.connect())).message).toContain('the tunnel is not up')
  })

  test('that throws, or answers no stream, is an error and no crash', async () => {
    const cluster = await stage.cluster()
    const wrong: unknown[] = [
      () => {
        throw new Error('dial itself failed')
      },
      () => undefined,
      () => Promise.resolve(undefined),
    ]
    for (const dial of wrong) {
      const producer = stage.producer(cluster, { dial: dial as Dial, maxBlockMs: 400 })
      expect(await failureOf(producer.connect())).toMatchObject({ name: 'ConnectionError' })
    }
  })

  test('that never settles is given up after socketConnectionSetupTimeoutMs, and its signal is aborted', async () => {
    const cluster = await stage.cluster()
    const aborted = deferred()
    const dial: Dial = ({ signal }) => {
      signal.addEventListener('abort', () => aborted.resolve())
      return new Promise(() => undefined)
    }
    const producer = stage.producer(cluster, {
      dial,
      socketConnectionSetupTimeoutMs: 30,
      socketConnectionSetupTimeoutMaxMs: 30,
      maxBlockMs: 200,
    })
    const failure = failureOf(producer.connect())
    await aborted.promise
    expect(await failure).toMatchObject({ name: 'ConnectionError' })
  })

  test.each([1, 2, 3, 5, 7, 64])('may give the answers in pieces of %i bytes', async (size) => {
    const cluster = await stage.cluster({ topics: { orders: 3 } })
    const dial: Dial = ({ host, port }) =>
      tunnel(host, port, {
        cut: (chunk) =>
          Array.from({ length: Math.ceil(chunk.length / size) }, (_, index) =>
            chunk.subarray(index * size, (index + 1) * size),
          ),
      })
    const producer = stage.producer(cluster, { dial, batchSize: 500 })
    const values = numbered('v', 300)
    await producer.sendMany(values.map((value, index) => ({ topic: 'orders', partition: index % 3, value })))
    const sent = [0, 1, 2].map((partition) => ({
      topic: 'orders',
      partition,
      values: values.filter((_, index) => index % 3 === partition),
    }))
    expect(cluster.verify(sent)).toEqual(NO_FAULTS)
  })

  describe('may keep a chunk until its callback: until then it does not change', () => {
    const changed: string[] = []
    const watch = async (chunk: Buffer, until: Promise<unknown>): Promise<void> => {
      const before = Buffer.from(chunk)
      await until
      if (!before.equals(chunk)) changed.push(`${chunk.length} bytes: ${before.subarray(0, 20).toString('hex')}`)
    }
    // Batches above 4 KiB are not copied on their way to the stream: it gets the producer's own memory.
    const tight = { batchSize: 8192, bufferMemory: 32_768 }
    const large = (letter: string) => letter.repeat(6000)

    beforeEach(() => {
      changed.length = 0
    })

    test('when it is slow to write', async () => {
      const cluster = await stage.cluster()
      const dial: Dial = ({ host, port }) => tunnel(host, port, { hold: (chunk) => watch(chunk, turns(3)) })
      const producer = stage.producer(cluster, { dial, ...tight })
      const values = numbered('v', 400).map((name) => name.padEnd(300, '.'))
      await producer.sendMany(values.map((value) => ({ topic: 'orders', value })))
      expect(changed).toEqual([])
      expect(cluster.values('orders', 0)).toEqual(values)
    })

    test('when the answer comes before the callback, and the memory is wanted by others', async () => {
      const cluster = await stage.cluster({ brokers: 2, topics: { orders: 2 } })
      const gate = deferred()
      let isLate = false
      // Only what goes to broker 1, once connections are up.
      const dial: Dial = ({ host, port }) =>
        tunnel(host, port, {
          linger: (chunk) =>
            isLate && `${host}:${port}` === cluster.address(1) ? watch(chunk, gate.promise) : Promise.resolve(),
        })
      const producer = stage.producer(cluster, { dial, ...tight })
      await producer.sendMany([0, 1].map((partition) => ({ topic: 'orders', partition, value: 'first' })))
      isLate = true
      expect(await producer.send({ topic: 'orders', partition: 0, value: large('a') })).toMatchObject({ offset: 1 })
      for (const letter of 'bcdefghijklm') await producer.send({ topic: 'orders', partition: 1, value: large(letter) })
      gate.resolve()
      await turns(3)
      expect(changed).toEqual([])
    })

    test('when its record is sealed again for a new epoch and another leader', async () => {
      const cluster = await stage.cluster({ brokers: 2, topics: { orders: 1 } })
      const gate = deferred()
      let isLate = false
      const dial: Dial = ({ host, port }) =>
        tunnel(host, port, {
          linger: (chunk) =>
            isLate && `${host}:${port}` === cluster.address(1) ? watch(chunk, gate.promise) : Promise.resolve(),
        })
      // Metadata comes from broker 2, so that broker 1 has nothing to do with it.
      const producer = stage.producer(cluster.address(2), { dial, metadataMaxAgeMs: 20 })
      await producer.send({ topic: 'orders', value: 'first' })
      isLate = true
      const refused = cluster.on('Produce').error('OUT_OF_ORDER_SEQUENCE_NUMBER')
      const sent = producer.send({ topic: 'orders', value: large('a') })
      await refused.hit
      cluster.setLeader('orders', 0, 2)
      expect(await sent).toMatchObject({ offset: 1 })
      expect(cluster.batches('orders', 0)[1]).toMatchObject({ broker: 2, producerEpoch: 1, baseSequence: 0 })
      gate.resolve()
      await turns(3)
      expect(changed).toEqual([])
    })

    test('when its records have failed long ago', async () => {
      const cluster = await stage.cluster({ brokers: 2, topics: { orders: 2 } })
      const gate = deferred()
      let isLate = false
      const held = deferred()
      const dial: Dial = ({ host, port }) =>
        tunnel(host, port, {
          hold: (chunk) => {
            if (!isLate || `${host}:${port}` !== cluster.address(1)) return Promise.resolve()
            held.resolve()
            return watch(chunk, gate.promise)
          },
        })
      // Longer than the test: it is the delivery that ends, not the request.
      const producer = stage.producer(cluster, { dial, ...tight, requestTimeoutMs: 150, deliveryTimeoutMs: 150 })
      await producer.sendMany([0, 1].map((partition) => ({ topic: 'orders', partition, value: 'first' })))
      isLate = true
      const failure = failureOf(producer.send({ topic: 'orders', partition: 0, value: large('a') }))
      await held.promise
      let isOver = false
      void failure.then(() => {
        isOver = true
      })
      // Everything else moves through the rest of the memory, before and after.
      while (!isOver) await producer.send({ topic: 'orders', partition: 1, value: large('b') })
      for (const letter of 'cdefghijklm') await producer.send({ topic: 'orders', partition: 1, value: large(letter) })
      expect(await failure).toMatchObject({ code: 'DELIVERY_TIMEOUT', persisted: 'possibly' })
      gate.resolve()
      await turns(3)
      expect(changed).toEqual([])
    })
  })

  test('whose stream ends in the middle of a request gets another one', async () => {
    const cluster = await stage.cluster()
    let cuts = 2
    const dial: Dial = async ({ host, port }) => {
      const stream = await tunnel(host, port, {
        hold: async (chunk) => {
          if (chunk.length > 1000 && cuts-- > 0) {
            stream.destroy(new Error('cable cut'))
            throw new Error('cable cut')
          }
        },
      })
      return stream
    }
    const producer = stage.producer(cluster, { dial })
    const values = ['a', 'b', 'c'].map((letter) => letter.repeat(2000))
    await producer.sendMany(values.map((value) => ({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(values)
  })
})
