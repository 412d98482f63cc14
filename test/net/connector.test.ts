import { describe, expect, test } from 'vitest'
import type { KafkaError } from '../../src/errors.ts'
import { Connector } from '../../src/net/connector.ts'
import { broker, FakeNetwork } from './fake-network.ts'

const A = { host: 'a', port: 9092 }
const B = { host: 'b', port: 9092 }
const anything = new AbortController().signal

const stage = (): { network: FakeNetwork; connector: Connector } => {
  const network = new FakeNetwork()
  return { network, connector: new Connector(network.options()) }
}

const attempt = (connector: Connector, signal = anything): Promise<string> =>
  connector
    .open(A, 'a:9092', signal, () => {})
    .then(
      () => 'open',
      (error: KafkaError) => error.code,
    )

describe('what is remembered of an address', () => {
  test('two attempts that fail at the same time are one failure', async () => {
    const { network, connector } = stage()
    expect(await Promise.all([attempt(connector), attempt(connector)])).toEqual([
      'CONNECTION_FAILED',
      'CONNECTION_FAILED',
    ])
    expect(connector.retryAt(A) - network.clock.now()).toBe(50)
    network.clock.advance(50)
    await attempt(connector)
    expect(connector.retryAt(A) - network.clock.now()).toBe(100)
    expect(connector.retryAt(B)).toBe(0)
  })

  test('two connections that are lost at the same time are one failure, too', async () => {
    const { network, connector } = stage()
    network.listen(
      'a:9092',
      broker(() => {}),
    )
    const losses: KafkaError[] = []
    for (let count = 0; count < 2; count++)
      await connector.open(A, 'a:9092', anything, (_, cause) => losses.push(cause))
    network.drop('a:9092')
    await network.until(() => losses.length === 2)
    for (const loss of losses) connector.lost(A, loss)
    expect(connector.retryAt(A) - network.clock.now()).toBe(50)
  })

  test('an attempt that was called off is no failure', async () => {
    const { network, connector } = stage()
    network.listen('a:9092', 'is silent')
    const controller = new AbortController()
    const attempted = attempt(connector, controller.signal)
    await network.settle()
    controller.abort()
    expect(await attempted).not.toBe('open')
    expect(connector.retryAt(A)).toBe(0)
    expect(connector.lastError(A)).toBeUndefined()
  })

  test('what dial throws is an error of ours, with the address and the cause', async () => {
    const network = new FakeNetwork()
    const thrown = new Error('no tunnel today')
    const dial = () => Promise.reject(thrown)
    const connector = new Connector(network.options({ dial }))
    expect(await attempt(connector)).toBe('CONNECTION_FAILED')
    expect(connector.lastError(A)?.message).toContain('a:9092')
    expect(connector.lastError(A)?.message).toContain('no tunnel today')
    expect(connector.lastError(A)?.cause).toBe(thrown)
  })

  test('an address that nobody will dial again is forgotten', async () => {
    const { network, connector } = stage()
    await attempt(connector)
    connector.forgetExcept([A])
    expect(connector.lastError(A)).toBeDefined()
    connector.forgetExcept([B])
    expect(connector.lastError(A)).toBeUndefined()
    expect(connector.retryAt(A)).toBe(0)
    expect(network.dials).toHaveLength(1)
  })

  test('a lost connection waits like a failed attempt, and success forgets both', async () => {
    const { network, connector } = stage()
    await attempt(connector)
    network.listen(
      'a:9092',
      broker(() => {}),
    )
    const losses: KafkaError[] = []
    const connection = await connector.open(A, 'a:9092', anything, (_, cause) => losses.push(cause))
    expect(connector.lastError(A)).toBeUndefined()
    expect(connector.retryAt(A)).toBe(0)
    network.drop('a:9092')
    await network.until(() => losses.length === 1)
    expect(connection.state.kind).toBe('closed')
    connector.lost(A, losses[0]!)
    expect(connector.retryAt(A) - network.clock.now()).toBe(50)
    expect(connector.lastError(A)).toBe(losses[0])
  })
})

test('whenNoneIsOpen waits for attempts and for connections', async () => {
  const { network, connector } = stage()
  await connector.whenNoneIsOpen(1_000)
  network.listen(
    'a:9092',
    broker(() => {}),
  )
  const opening = connector.open(A, 'a:9092', anything, () => {})
  let isOver = false
  void connector.whenNoneIsOpen(1_000).then(() => {
    isOver = true
  })
  const connection = await opening
  await network.settle()
  expect(isOver).toBe(false)
  connection.close()
  await network.until(() => isOver)
  expect(network.clock.pendingDelaysMs).toEqual([])
})
