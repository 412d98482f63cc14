import { describe, expect, test } from 'vitest'
import type { ProducerOptions } from '../../src/index.ts'
import { deferred } from '../support/fake-cluster/deferred.ts'
import { failureOf, filler, turns, until, useStand, watch } from '../support/stand.ts'

const stand = useStand()

/** Room for two of these. */
const small: Partial<ProducerOptions> = { bufferMemory: 8_192, batchSize: 4_096, maxBlockMs: 60_000 }
const large = filler(3_500)

describe('send with a signal', () => {
  test('that is aborted already rejects with ABORTED, its reason as the cause, and takes nothing', async () => {
    const producer = stand.producer(null)
    const reason = new Error('the user went away')
    const sent = producer.send({ topic: 'orders', value: 'v' }, { signal: AbortSignal.abort(reason) })
    const error = await failureOf(sent)
    expect(error).toMatchObject({ code: 'ABORTED', persisted: 'no' })
    expect(error.cause).toBe(reason)
    expect(producer.metrics()).toMatchObject({ recordsPending: 0, bufferAvailableBytes: 33_554_432 })
  })

  test('that waits for metadata: the signal ends the wait of this record and of no other', async () => {
    const producer = stand.producer(null)
    const controller = new AbortController()
    const before = watch(producer.send({ topic: 'orders', value: 'before' }))
    const sent = producer.send({ topic: 'orders', value: 'v' }, { signal: controller.signal })
    const after = watch(producer.send({ topic: 'orders', value: 'after' }))
    await turns(3)
    controller.abort()
    expect(await failureOf(sent)).toMatchObject({ code: 'ABORTED', persisted: 'no' })
    expect([before.state, after.state]).toEqual(['pending', 'pending'])
    expect(producer.metrics()).toMatchObject({ recordsPending: 2, recordErrorTotal: 1 })
  })

  test('whose record was ended while its topic was unknown is not sent when it becomes known', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    const controller = new AbortController()
    const before = producer.send({ topic: 'orders', value: 'before' })
    const sent = producer.send({ topic: 'orders', value: 'v' }, { signal: controller.signal })
    const after = producer.send({ topic: 'orders', value: 'after' })
    controller.abort()
    expect((await failureOf(sent)).code).toBe('ABORTED')
    expect((await stand.settled(Promise.all([before, after]))).map(({ offset }) => offset)).toEqual([0, 1])
    expect(cluster.values('orders', 0)).toEqual(['before', 'after'])
  })

  test('all of whose companions were ended too leaves nothing: no record, no memory', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    const controller = new AbortController()
    const { signal } = controller
    const sent = [1, 2, 3].map((n) => failureOf(producer.send({ topic: 'orders', value: `v${n}` }, { signal })))
    controller.abort()
    expect((await Promise.all(sent)).map(({ code }) => code)).toEqual(['ABORTED', 'ABORTED', 'ABORTED'])
    await cluster.untilSeen('Metadata')
    await stand.settled(producer.partitionsFor('orders'))
    await turns(5)
    expect(cluster.count('orders')).toBe(0)
    expect(producer.metrics()).toMatchObject({ recordsPending: 0, bufferAvailableBytes: 33_554_432 })
  })

  test('that waits for room: the signal ends the wait, and those behind it move up', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster, small)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const controller = new AbortController()
    const first = [producer.send({ topic: 'orders', value: large }), producer.send({ topic: 'orders', value: large })]
    await cluster.untilSeen('Produce')
    const sent = producer.send({ topic: 'orders', value: `ended${large}` }, { signal: controller.signal })
    const behind = producer.send({ topic: 'orders', value: 'behind' })
    expect(producer.metrics().waitingThreads).toBe(2)
    controller.abort()
    expect(await failureOf(sent)).toMatchObject({ code: 'ABORTED', persisted: 'no' })
    expect(producer.metrics()).toMatchObject({ waitingThreads: 1, recordErrorTotal: 1 })
    gate.resolve()
    await stand.settled(Promise.all([...first, behind]))
    expect(cluster.values('orders', 0).map((value) => value?.slice(0, 6))).toEqual(['xxxxxx', 'xxxxxx', 'behind'])
  })

  test('that is in a batch is not called back: it is acknowledged', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const controller = new AbortController()
    const sent = producer.send({ topic: 'orders', value: 'v' }, { signal: controller.signal })
    controller.abort()
    await cluster.untilSeen('Produce', 2)
    gate.resolve()
    expect(await stand.settled(sent)).toMatchObject({ offset: 1 })
  })

  test('that has moved from the line into a batch is not called back either', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, small)
    const first = deferred()
    const second = deferred()
    cluster.on('Produce').delay(first.promise)
    cluster.on('Produce').delay(second.promise)
    const controller = new AbortController()
    const before = [producer.send({ topic: 'orders', value: large }), producer.send({ topic: 'orders', value: large })]
    const sent = producer.send({ topic: 'orders', value: large }, { signal: controller.signal })
    expect(producer.metrics().waitingThreads).toBe(1)
    first.resolve()
    await stand.settled(before[0]!)
    await until(() => producer.metrics().waitingThreads === 0, 'the record to get in')
    controller.abort()
    second.resolve()
    expect(await stand.settled(sent)).toMatchObject({ offset: 3 })
    await Promise.all(before)
  })

  test('that was refused leaves the record in front of it alone', async () => {
    const producer = stand.producer(null, { ...small, maxWaitingSends: 0 })
    const controller = new AbortController()
    const staged = watch(producer.send({ topic: 'orders', value: large }))
    const alsoStaged = watch(producer.send({ topic: 'orders', value: large }))
    const refused = producer.send({ topic: 'orders', value: large }, { signal: controller.signal })
    controller.abort()
    expect((await failureOf(refused)).code).toBe('BUFFER_FULL')
    await turns(5)
    expect([staged.state, alsoStaged.state]).toEqual(['pending', 'pending'])
  })

  test('aborted by its own serializer is not taken', async () => {
    const controller = new AbortController()
    const valueSerializer = (value: string) => {
      controller.abort()
      return value
    }
    const producer = stand.producer<string, string>(null, { valueSerializer })
    const sent = producer.send({ topic: 'orders', value: 'v' }, { signal: controller.signal })
    expect(await failureOf(sent)).toMatchObject({ code: 'ABORTED', topic: 'orders' })
    await turns(2)
    expect(producer.metrics().recordsPending).toBe(0)
  })

  test('stops listening when its record has settled, however it did', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    const { signal } = new AbortController()
    let listening = 0
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...all: Parameters<typeof add>) => {
      listening++
      add(...all)
    }
    signal.removeEventListener = (...all: Parameters<typeof remove>) => {
      listening--
      remove(...all)
    }
    cluster.on('Produce').error('INVALID_RECORD')
    const failing = failureOf(producer.send({ topic: 'orders', value: 'a' }, { signal }))
    expect(listening).toBe(1)
    await stand.settled(failing)
    expect(listening).toBe(0)
    await stand.settled(producer.send({ topic: 'orders', value: 'b' }, { signal }))
    expect(listening).toBe(0)
  })

  test('aborted after its record has settled does nothing at all', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    const controller = new AbortController()
    await stand.settled(producer.send({ topic: 'orders', value: 'v' }, { signal: controller.signal }))
    controller.abort()
    await turns(3)
    expect(producer.metrics()).toMatchObject({ recordErrorTotal: 0, recordsPending: 0 })
    expect(await stand.settled(producer.flush())).toEqual({ delivered: 0, failed: 0 })
  })

  test('aborted by the partitioner that is asked about this very record: the record settles once', async () => {
    const cluster = await stand.cluster()
    const controller = new AbortController()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stand.producer(cluster, {
      ...small,
      partitioner: (topic) => {
        if (topic === 'late') controller.abort()
        return 0
      },
    })
    const first = [producer.send({ topic: 'orders', value: large }), producer.send({ topic: 'orders', value: large })]
    // In the line, its topic unknown; by the time there is room it is known.
    const failure = failureOf(producer.send({ topic: 'late', value: large }, { signal: controller.signal }))
    const behind = producer.send({ topic: 'orders', value: 'behind' })
    await cluster.untilSeen('Produce')
    cluster.createTopic('late', 1)
    await stand.settled(producer.partitionsFor('late'))
    gate.resolve()
    await stand.settled(Promise.all([...first, behind]))
    expect((await failure).code).toBe('ABORTED')
    expect(cluster.count('late')).toBe(0)
    expect(await stand.settled(producer.flush())).toEqual({ delivered: 0, failed: 0 })
    expect(producer.metrics().recordsPending).toBe(0)
  })
})
