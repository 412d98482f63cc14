import { describe, expect, test } from 'vitest'
import type { KafkaError } from '../../src/errors.ts'
import type { Producer, ProducerOptions } from '../../src/index.ts'
import type { Core } from '../../src/producer/core.ts'
import { Room } from '../../src/producer/room.ts'
import { deferred } from '../support/fake-cluster/deferred.ts'
import { failureOf, filler, turns, until, useStand, watch } from '../support/stand.ts'

/** What a room looks at, and nothing else. */
function roomIn({ bufferMemory = 1_000, maxPendingRecords = 5 } = {}) {
  const arena = { used: 0 }
  const taking = { pendingPromises: 0 }
  const line = { isEmpty: true }
  const sender = { isFlying: true }
  const parts = { accumulator: { arena }, taking, line, sender, options: { bufferMemory, maxPendingRecords } }
  const room = new Room(parts as unknown as Core)
  const told: string[] = []
  const wait = (name: string) =>
    room.wait({ resolve: () => told.push(name), reject: (error: KafkaError) => told.push(`${name}: ${error.code}`) })
  return { room, arena, taking, line, sender, told, wait }
}

describe('room', () => {
  test('is ample up to exactly half of bufferMemory', () => {
    const { room, arena } = roomIn()
    arena.used = 500
    expect(room.isAmple).toBe(true)
    arena.used = 501
    expect(room.isAmple).toBe(false)
  })

  test('once it was found full is ample for those who wait at three eighths, not before', () => {
    const { room, arena, told, wait } = roomIn()
    arena.used = 600
    wait('a')
    for (const used of [501, 500, 400, 376]) {
      arena.used = used
      room.look()
      expect(told).toEqual([])
    }
    arena.used = 375
    room.look()
    expect(told).toEqual(['a'])
  })

  test('is ample at a half for those who wait when nothing flies: what is left cannot leave', () => {
    const { room, arena, sender, told, wait } = roomIn()
    arena.used = 600
    wait('a')
    sender.isFlying = false
    arena.used = 501
    room.look()
    expect(told).toEqual([])
    arena.used = 500
    room.look()
    expect(told).toEqual(['a'])
  })

  test('is not ample with maxPendingRecords promises outstanding, and again with one less', () => {
    const { room, taking, told, wait } = roomIn({ maxPendingRecords: 5 })
    taking.pendingPromises = 4
    expect(room.isAmple).toBe(true)
    taking.pendingPromises = 5
    expect(room.isAmple).toBe(false)
    wait('a')
    room.look()
    expect(told).toEqual([])
    taking.pendingPromises = 4
    room.look()
    expect(told).toEqual(['a'])
  })

  test('is not ample while anybody stands in the line, however much memory is free', () => {
    const { room, line, told, wait } = roomIn()
    line.isEmpty = false
    expect(room.isAmple).toBe(false)
    wait('a')
    room.look()
    expect(told).toEqual([])
    line.isEmpty = true
    room.look()
    expect(told).toEqual(['a'])
  })

  test('that is ample keeps nobody waiting', () => {
    const { arena, told, wait } = roomIn()
    arena.used = 500
    wait('a')
    expect(told).toEqual(['a'])
  })

  test('calls all who wait, each once, in order', () => {
    const { room, arena, told, wait } = roomIn()
    arena.used = 900
    for (const name of ['a', 'b', 'c']) wait(name)
    arena.used = 0
    room.look()
    room.look()
    expect(told).toEqual(['a', 'b', 'c'])
  })

  test('does not call whoever has taken the wait back', () => {
    const { room, arena, told, wait } = roomIn()
    arena.used = 900
    const first = wait('a')
    wait('b')
    first.cancel()
    arena.used = 0
    room.look()
    expect(told).toEqual(['b'])
  })

  test('lets whoever is called wait again, without calling it twice in one look', () => {
    const { room, arena, told } = roomIn()
    arena.used = 900
    const again = (): void => {
      told.push('called')
      arena.used = 900
      room.wait({ resolve: again, reject: () => {} })
    }
    room.wait({ resolve: again, reject: () => {} })
    arena.used = 0
    room.look()
    expect(told).toEqual(['called'])
  })

  test('that comes no more rejects all who wait, once', async () => {
    const { room, arena, told, wait } = roomIn()
    arena.used = 900
    wait('a')
    wait('b')
    room.rejectAll({ code: 'CLOSED' } as KafkaError)
    arena.used = 0
    room.look()
    expect(told).toEqual(['a: CLOSED', 'b: CLOSED'])
  })
})

const stand = useStand()
const small: Partial<ProducerOptions> = { bufferMemory: 16_384, batchSize: 4_096 }

describe('enqueue and ready', () => {
  const fill = (producer: Producer): number => {
    let count = 1
    while (producer.enqueue({ topic: 'orders', value: filler(3_500) })) count++
    return count
  }

  test('answer false above half of bufferMemory, with the record taken all the same', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, small)
    expect(fill(producer)).toBe(3)
    expect(producer.metrics()).toMatchObject({ recordsPending: 3, recordRefusedTotal: 0 })
    await stand.settled(producer.ready())
    expect(producer.enqueue({ topic: 'orders', value: 'v' })).toBe(true)
    await stand.settled(producer.flush())
    expect(cluster.count('orders')).toBe(5)
  })

  test('go on taking records until bufferMemory is really full, and then fail each new one with BUFFER_FULL', async () => {
    const producer = stand.producer(null, small)
    const told: (string | undefined)[] = []
    for (let i = 0; i < 6; i++) {
      producer.enqueue({ topic: 'orders', value: filler(3_500) }, (error) => told.push(error?.code))
    }
    await turns(3)
    expect(told).toEqual(['BUFFER_FULL', 'BUFFER_FULL'])
    expect(producer.metrics()).toMatchObject({ recordsPending: 4, bufferAvailableBytes: 0, recordRefusedTotal: 2 })
  })

  test('resolves ready when room has come back, not at the first byte of it', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, { ...small, maxRequestSize: 4_096, maxInFlightRequestsPerConnection: 1 })
    const gates = [deferred(), deferred(), deferred(), deferred()]
    for (const gate of gates) cluster.on('Produce').delay(gate.promise)
    for (let i = 0; i < 4; i++) producer.enqueue({ topic: 'orders', value: filler(3_500) })
    const ready = watch(producer.ready())
    // Four regions of 4096 bytes: three eighths of 16384 are 6144, so one may still be taken.
    for (const [i, gate] of gates.slice(0, 3).entries()) {
      await cluster.untilSeen('Produce', i + 2)
      expect(ready.state).toBe('pending')
      gate.resolve()
      await until(() => producer.metrics().recordsPending === 3 - i, 'an answer')
    }
    await turns(2)
    expect(ready.state).toBe('done')
    gates[3]!.resolve()
    await stand.settled(producer.flush())
  })

  test('resolves ready at once when there is room', async () => {
    const producer = stand.producer(null)
    await producer.ready({ timeoutMs: 0 })
    expect(stand.clock.pendingDelaysMs).toEqual([])
  })

  test('is paced by maxPendingRecords too: promises of send that nobody has seen settle', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, { maxPendingRecords: 3 })
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const sent = [1, 2, 3].map((n) => producer.send({ topic: 'orders', value: `v${n}` }))
    expect(producer.enqueue({ topic: 'orders', value: 'v' })).toBe(false)
    const ready = watch(producer.ready())
    await turns(5)
    expect(ready.state).toBe('pending')
    gate.resolve()
    await stand.settled(Promise.all(sent))
    await until(() => ready.state === 'done', 'ready')
    expect(producer.enqueue({ topic: 'orders', value: 'v' })).toBe(true)
  })

  test('counts a promise as outstanding exactly until it settles, however it does', async () => {
    const cluster = await stand.cluster({ topics: { orders: 1, bad: 1 } })
    cluster.on('Produce', { topic: 'bad' }).error('INVALID_RECORD')
    const producer = await stand.warm(cluster, { maxPendingRecords: 1, partitioner: () => 0 })
    const outcomes = [
      () => producer.send({ topic: 'orders', value: 'delivered' }),
      () => producer.send({ topic: 'bad', value: 'refused' }),
      () => producer.send({ topic: 'orders', value: 7 as never }),
      () => producer.send({ topic: 'orders', value: 'v' }, { signal: AbortSignal.abort() }),
      () => producer.send({ topic: 'orders', value: filler(2_000_000) }),
    ]
    for (const send of outcomes) {
      const sent = watch(send())
      expect(producer.enqueue({ topic: 'orders', value: 'v' })).toBe(false)
      await stand.settled(until(() => sent.state !== 'pending'))
      expect(producer.enqueue({ topic: 'orders', value: 'v' })).toBe(true)
      await stand.settled(producer.flush())
    }
  })

  test('past timeoutMs rejects with READY_TIMEOUT, by its signal with ABORTED, and leaves the wait', async () => {
    const producer = stand.producer(null, small)
    fill(producer)
    const late = watch(producer.ready({ timeoutMs: 100 }))
    const controller = new AbortController()
    const aborted = producer.ready({ signal: controller.signal })
    controller.abort()
    expect((await failureOf(aborted)).code).toBe('ABORTED')
    stand.clock.advance(99)
    await turns(3)
    expect(late.state).toBe('pending')
    stand.clock.advance(1)
    await until(() => late.state !== 'pending')
    expect(late.error).toMatchObject({ code: 'READY_TIMEOUT', name: 'TimeoutError' })
  })

  test('a full buffer sends what lingers', async () => {
    const cluster = await stand.cluster({ topics: { orders: 4 } })
    const producer = await stand.warm(cluster, { ...small, lingerMs: 60_000, deliveryTimeoutMs: 120_000 })
    const sent = Array.from({ length: 8 }, (_, i) =>
      producer.send({ topic: 'orders', partition: i % 4, value: filler(3_000) }),
    )
    expect(producer.metrics().waitingThreads).toBe(4)
    await until(() => cluster.count('orders') >= 5, 'the lingering batches to leave')
    // The last ones have room again, and linger.
    await stand.settled(producer.flush())
    await Promise.all(sent)
    expect(cluster.count('orders')).toBe(9)
  })
})
