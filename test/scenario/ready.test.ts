// What `ready` promises, sentence by sentence.
import { describe, expect, test } from 'vitest'
import { deferred, failureOf, isSettled, useStage } from './stage.ts'

const stage = useStage()

const large = 'x'.repeat(3000)
const tight = { batchSize: 4096, bufferMemory: 16_384 }

/** A producer whose buffer is more than half full, and the gate behind which its records wait. */
async function pressed() {
  const cluster = await stage.cluster()
  const gate = deferred()
  cluster.on('Produce').delay(gate.promise)
  const producer = stage.producer(cluster, tight)
  await producer.partitionsFor('orders')
  while (producer.enqueue({ topic: 'orders', value: large }));
  await cluster.untilSeen('Produce')
  return { cluster, gate, producer }
}

describe('ready', () => {
  test('resolves at once when enqueue would return true', async () => {
    const cluster = await stage.cluster()
    expect(await isSettled(stage.producer(cluster).ready())).toBe(true)
  })

  test('resolves when enqueue would return true again', async () => {
    const { gate, producer } = await pressed()
    const ready = producer.ready()
    expect(await isSettled(ready)).toBe(false)
    gate.resolve()
    await ready
    expect(producer.enqueue({ topic: 'orders', value: 'v' })).toBe(true)
    await producer.flush()
  })

  test('resolves when what is left between the marks cannot leave: a leaderless partition stops no other topic', async () => {
    const cluster = await stage.cluster({ topics: { orders: 1, stuck: 1 } })
    cluster.setLeader('stuck', 0, -1)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, { batchSize: 4096, bufferMemory: 40_960 })
    await Promise.all([producer.partitionsFor('orders'), producer.partitionsFor('stuck')])
    // 16,384 of 40,960 bytes: above three eighths (15,360), below a half.
    for (let i = 0; i < 4; i++) expect(producer.enqueue({ topic: 'stuck', value: large })).toBe(true)
    while (producer.enqueue({ topic: 'orders', value: large }));
    await cluster.untilSeen('Produce')
    const ready = producer.ready()
    expect(await isSettled(ready)).toBe(false)
    gate.resolve()
    await ready
    expect(producer.enqueue({ topic: 'orders', value: 'v' })).toBe(true)
    cluster.setLeader('stuck', 0, 1)
    await producer.flush()
  })

  test('rejects with READY_TIMEOUT past its timeoutMs', async () => {
    const { gate, producer } = await pressed()
    const error = await failureOf(producer.ready({ timeoutMs: 20 }))
    expect(error).toMatchObject({ name: 'TimeoutError', code: 'READY_TIMEOUT' })
    gate.resolve()
    await producer.flush()
  })

  test('rejects with ABORTED by its signal', async () => {
    const { gate, producer } = await pressed()
    const controller = new AbortController()
    const ready = producer.ready({ signal: controller.signal })
    controller.abort()
    expect(await failureOf(ready)).toMatchObject({ code: 'ABORTED' })
    expect(await failureOf(producer.ready({ signal: AbortSignal.abort() }))).toMatchObject({ code: 'ABORTED' })
    gate.resolve()
    await producer.flush()
  })

  test('rejects with CLOSED when the producer closes, and after it', async () => {
    const { gate, producer } = await pressed()
    const ready = producer.ready()
    const failure = failureOf(ready)
    const closing = producer.close({ timeoutMs: 0 })
    expect(await failure).toMatchObject({ code: 'CLOSED' })
    await closing
    expect(await failureOf(producer.ready())).toMatchObject({ code: 'CLOSED' })
    gate.resolve()
  })

  test('rejects with the fatal error', async () => {
    const { cluster, gate, producer } = await pressed()
    cluster.on('Produce').error('CLUSTER_AUTHORIZATION_FAILED')
    const failure = failureOf(producer.ready())
    gate.resolve()
    expect(await failure).toMatchObject({ code: 'CLUSTER_AUTHORIZATION_FAILED', fatal: true })
    expect(await failureOf(producer.ready())).toMatchObject({ code: 'CLUSTER_AUTHORIZATION_FAILED', fatal: true })
    expect(producer.health().fatalError).toMatchObject({ code: 'CLUSTER_AUTHORIZATION_FAILED' })
  })
})
