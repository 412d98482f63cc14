import { once } from 'node:events'
import { Socket, type TcpNetConnectOpts } from 'node:net'
import { describe, expect, test } from 'vitest'
import { createTcpDial, type Dial, type TcpDialOptions, tcpDial } from '../../src/net/dial.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { startWireServer } from '../support/wire-server.ts'

const never = (): AbortSignal => new AbortController().signal

/** A port on which nobody listens: the system chose it a moment ago. */
async function closedPort(): Promise<number> {
  const server = await startWireServer(() => {})
  await server.close()
  return server.port
}

async function failureOf(dial: Dial, host: string, port: number, signal = never()): Promise<unknown> {
  return dial({ host, port, signal }).then(
    (stream) => {
      stream.destroy()
      throw new Error('it connected')
    },
    (error: unknown) => error,
  )
}

/** Sockets that never leave the machine: each call is noted, and the test decides what becomes of it. */
function scriptedConnect() {
  const asked: TcpNetConnectOpts[] = []
  const sockets: Socket[] = []
  const connect = (options: TcpNetConnectOpts): Socket => {
    const socket = new Socket()
    asked.push(options)
    sockets.push(socket)
    return socket
  }
  return { asked, sockets, connect, ips: () => asked.map((options) => options.host) }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('one address', () => {
  test('a connection carries bytes both ways', async () => {
    await using server = await startWireServer(async (peer) => {
      const frame = await peer.nextFrame()
      await peer.send(frame.bytes)
    })
    const stream = await tcpDial({ host: server.host, port: server.port, signal: never() })
    stream.write(Buffer.from('0000000812345678abcdef00', 'hex'))
    const [chunk] = await once(stream, 'data')
    expect(chunk.toString('hex')).toBe('12345678abcdef00')
    stream.destroy()
  })

  test('the connection is without delay and kept alive', async () => {
    const { asked, sockets, connect } = scriptedConnect()
    const dialing = createTcpDial({ connect })({ host: '10.0.0.1', port: 9092, signal: never() })
    await turn()
    expect(asked).toEqual([
      { host: '10.0.0.1', port: 9092, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 },
    ])
    sockets[0]!.emit('connect')
    expect(await dialing).toBe(sockets[0])
  })

  test('nobody listening is CONNECTION_FAILED with the phase and what to do', async () => {
    const port = await closedPort()
    expect(await failureOf(tcpDial, '127.0.0.1', port)).toMatchObject({
      code: 'CONNECTION_FAILED',
      retriable: true,
      broker: `127.0.0.1:${port}`,
      message: `127.0.0.1:${port}: no TCP connection (ECONNREFUSED). Nothing listens there: check host and port, and that the broker is running`,
      cause: { code: 'ECONNREFUSED' },
    })
  })

  test('a port that is none is refused without a socket', async () => {
    expect(await failureOf(tcpDial, 'localhost', -1)).toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(await failureOf(tcpDial, 'localhost', 70_000)).toMatchObject({
      message: 'localhost: 70000 is not a TCP port',
    })
  })
})

describe('names', () => {
  test('a name that does not exist is DNS_FAILED', async () => {
    expect(await failureOf(tcpDial, 'kafka-wire.invalid', 9092)).toMatchObject({
      code: 'DNS_FAILED',
      retriable: true,
      broker: 'kafka-wire.invalid:9092',
      message: expect.stringMatching(/^kafka-wire\.invalid:9092: DNS lookup failed \(E[A-Z_]+\)\. Check the name/),
    })
  })

  test('a name without any address is DNS_FAILED', async () => {
    const dial = createTcpDial({ lookup: async () => [] })
    expect(await failureOf(dial, 'empty', 9092)).toMatchObject({
      code: 'DNS_FAILED',
      message: expect.stringContaining('gave no address'),
    })
  })

  test('localhost reaches a broker that listens on IPv4 alone', async () => {
    await using server = await startWireServer(() => {})
    const stream = await tcpDial({ host: 'localhost', port: server.port, signal: never() })
    stream.destroy()
  })

  test('the name is resolved anew for each connection', async () => {
    let lookups = 0
    const { sockets, connect } = scriptedConnect()
    const lookup = async (): Promise<string[]> => [`10.0.0.${++lookups}`]
    const dial = createTcpDial({ lookup, connect })
    for (const index of [0, 1]) {
      const dialing = dial({ host: 'kafka', port: 9092, signal: never() })
      await turn()
      sockets[index]!.emit('connect')
      await dialing
    }
    expect(lookups).toBe(2)
  })
})

describe('several addresses', () => {
  test('the first refuses, the second is taken', async () => {
    await using server = await startWireServer(() => {})
    // The whole of 127/8 is this machine, and the server listens on 127.0.0.1 alone.
    const dial = createTcpDial({ lookup: async () => ['127.0.0.2', '127.0.0.1'] })
    const stream = (await dial({ host: 'kafka', port: server.port, signal: never() })) as Socket
    expect(stream.remoteAddress).toBe('127.0.0.1')
    stream.destroy()
  })

  test('when all refuse, each is named with what it said', async () => {
    const port = await closedPort()
    const dial = createTcpDial({ lookup: async () => ['127.0.0.2', '127.0.0.3'] })
    const error = await failureOf(dial, 'kafka', port)
    expect(error).toMatchObject({
      code: 'CONNECTION_FAILED',
      message: expect.stringContaining(
        `kafka:${port}: no TCP connection (127.0.0.2 ECONNREFUSED, 127.0.0.3 ECONNREFUSED)`,
      ),
    })
    expect((error as { cause: AggregateError }).cause.errors).toHaveLength(2)
  })

  const silent = (options: TcpDialOptions = {}) => {
    const script = scriptedConnect()
    const clock = new FakeClock()
    const lookup = async (): Promise<string[]> => ['10.0.0.1', '10.0.0.2', '10.0.0.3']
    return { ...script, clock, dial: createTcpDial({ lookup, clock, connect: script.connect, ...options }) }
  }

  test('a black hole delays the next address by its head start, and may still win', async () => {
    const { dial, clock, sockets, ips } = silent()
    const dialing = dial({ host: 'kafka', port: 9092, signal: never() })
    await turn()
    expect(ips()).toEqual(['10.0.0.1'])
    clock.advance(499)
    expect(ips()).toEqual(['10.0.0.1'])
    clock.advance(1)
    expect(ips()).toEqual(['10.0.0.1', '10.0.0.2'])
    sockets[0]!.emit('connect')
    expect(await dialing).toBe(sockets[0])
    expect(sockets.map((socket) => socket.destroyed)).toEqual([false, true])
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('a refusal starts the next address at once', async () => {
    const { dial, clock, sockets, ips } = silent()
    const dialing = dial({ host: 'kafka', port: 9092, signal: never() })
    await turn()
    sockets[0]!.emit('error', Object.assign(new Error('no'), { code: 'EHOSTUNREACH' }))
    expect(ips()).toEqual(['10.0.0.1', '10.0.0.2'])
    sockets[1]!.emit('connect')
    expect(await dialing).toBe(sockets[1])
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('an address that fails after another won is of no interest', async () => {
    const { dial, clock, sockets } = silent()
    const dialing = dial({ host: 'kafka', port: 9092, signal: never() })
    await turn()
    clock.advance(500)
    sockets[1]!.emit('connect')
    const winner = await dialing
    sockets[0]!.emit('error', new Error('late'))
    expect(winner).toBe(sockets[1])
    expect(winner.destroyed).toBe(false)
  })

  test('the attempt fails when the last one that still tries has failed', async () => {
    const { dial, clock, sockets } = silent()
    const failure = failureOf(dial, 'kafka', 9092)
    await turn()
    clock.advance(1_000)
    expect(sockets).toHaveLength(3)
    for (const index of [2, 0, 1]) sockets[index]!.emit('error', Object.assign(new Error(), { code: `E${index}` }))
    expect(await failure).toMatchObject({
      message: 'kafka:9092: no TCP connection (10.0.0.3 E2, 10.0.0.1 E0, 10.0.0.2 E1)',
    })
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('an aborted attempt leaves no socket and no timer behind', async () => {
    const { dial, clock, sockets } = silent()
    const abort = new AbortController()
    const failure = failureOf(dial, 'kafka', 9092, abort.signal)
    await turn()
    clock.advance(500)
    const reason = new Error('enough')
    abort.abort(reason)
    expect(await failure).toBe(reason)
    expect(sockets.map((socket) => socket.destroyed)).toEqual([true, true])
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('an attempt aborted while the name is looked up opens no socket', async () => {
    let found: (ips: string[]) => void = () => {}
    const lookup = (): Promise<string[]> =>
      new Promise((resolve) => {
        found = resolve
      })
    const { dial, sockets } = silent({ lookup })
    const abort = new AbortController()
    const failure = failureOf(dial, 'kafka', 9092, abort.signal)
    const reason = new Error('enough')
    abort.abort(reason)
    found(['10.0.0.1'])
    expect(await failure).toBe(reason)
    expect(sockets).toEqual([])
  })
})
