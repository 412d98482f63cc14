import { expect, test } from 'vitest'
import { BrokerPool } from '../../src/net/broker-pool.ts'
import { reachBroker } from '../../src/net/reach-broker.ts'
import { broker, FakeNetwork } from './fake-network.ts'

const listening = broker(() => {})

function stage(count: number): { network: FakeNetwork; pool: BrokerPool } {
  const network = new FakeNetwork()
  const pool = new BrokerPool(network.options())
  pool.setBrokers(Array.from({ length: count }, (_, id) => ({ nodeId: id, host: `n${id}`, port: 9092, rack: null })))
  return { network, pool }
}

test('one broker that can be spoken to is enough; an open lane is at once', async () => {
  const { network, pool } = stage(2)
  network.listen('n1:9092', listening)
  await reachBroker(pool, undefined)
  expect(pool.lane(1).state.kind).toBe('open')
  network.dials.length = 0
  await reachBroker(pool, undefined)
  expect(network.dials).toEqual([])
})

test('a broker that refused is tried again when its back-off is over', async () => {
  const { network, pool } = stage(1)
  const reached = reachBroker(pool, undefined)
  await network.settle()
  network.listen('n0:9092', listening)
  await network.pass(49)
  expect(network.dials).toHaveLength(1)
  await network.pass(1)
  await reached
})

test('a broker that refuses makes room for the next: three at a time', async () => {
  const { network, pool } = stage(6)
  for (const id of [0, 1, 2, 4, 5]) network.listen(`n${id}:9092`, 'is silent')
  network.listen('n1:9092', 'refuses')
  network.listen('n3:9092', 'refuses')
  const controller = new AbortController()
  const reached = reachBroker(pool, controller.signal).catch((error: Error) => error.message)
  await network.settle()
  expect(network.dials).toEqual(['n0:9092', 'n1:9092', 'n2:9092', 'n3:9092', 'n4:9092'])
  controller.abort()
  expect(await reached).toMatch(
    /^None of 2 brokers can be reached:\n {2}broker 1 at n1:9092.*\n {2}broker 3 at n3:9092/,
  )
})

test('aborted before any broker said anything: ABORTED', async () => {
  const { pool } = stage(0)
  await expect(reachBroker(pool, AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' })
})

test('a listener of lanes that stops listening hears nothing any more', async () => {
  const { network, pool } = stage(1)
  network.listen('n0:9092', listening)
  const heard: string[] = []
  const unwatch = pool.watchLanes((lane) => heard.push(lane.state.kind))
  await reachBroker(pool, undefined)
  unwatch()
  await pool.close()
  expect(heard).toEqual(['open'])
})
