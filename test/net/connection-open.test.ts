// How a connection begins: dial and handshake, and every way in which an address turns out not to be a broker of ours.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { kafkaError } from '../../src/errors.ts'
import { Connection, type ConnectionOptions } from '../../src/net/connection.ts'
import { createTcpDial } from '../../src/net/dial.ts'
import { bytes, toHex } from '../support/byte-builder.ts'
import { connectionOptions, offered, open, probe, turns } from '../support/probe.ts'
import { apiVersionsBody, shakeHands, startWireServer, type WireScript } from '../support/wire-server.ts'

interface Failure {
  readonly error: unknown
  /** The versions of ApiVersions that were asked, connection by connection. */
  readonly asked: number[][]
}

/** What `open` rejects with against a server of this script. */
async function failureOf(script: WireScript, overrides: Partial<ConnectionOptions> = {}): Promise<Failure> {
  const asked: number[][] = []
  await using server = await startWireServer((peer, index) => {
    const { nextFrame } = peer
    asked[index] = []
    const noting = async () => {
      const frame = await nextFrame()
      asked[index]!.push(frame.apiVersion)
      return frame
    }
    return script({ ...peer, nextFrame: noting }, index)
  })
  const error = await open(server, overrides).then(
    ({ connection }) => {
      connection.close()
      throw new Error('it opened')
    },
    (thrown: unknown) => thrown,
  )
  return { error, asked }
}

/** The same for a script under which `open` works. */
async function askedOf(script: WireScript): Promise<number[][]> {
  const asked: number[][] = []
  await using server = await startWireServer((peer, index) => {
    asked[index] = []
    const { nextFrame } = peer
    const noting = async () => {
      const frame = await nextFrame()
      asked[index]!.push(frame.apiVersion)
      return frame
    }
    return script({ ...peer, nextFrame: noting }, index)
  })
  const { connection } = await open(server)
  expect(connection.versionFor(probe)).toBe(1)
  connection.close()
  return asked
}

describe('the handshake', () => {
  test('begins with ApiVersions at our newest version, under our name', async () => {
    let first = ''
    await using server = await startWireServer(async (peer) => {
      const frame = await shakeHands(peer, offered)
      first = toHex(frame.bytes)
    })
    const { connection } = await open(server)
    // key 18, version 4, correlation id 0, client id 'test', no tags; 'kafka-wire', '0.1.0', no tags
    expect(first).toBe(
      '0012 0004 00000000 0004 74657374 00 0b 6b61666b612d77697265 06 302e312e30 00'.replaceAll(' ', ''),
    )
    connection.close()
  })

  test('asks lower as error 35 in the shape of version 0 says, on the same connection', async () => {
    const asked = await askedOf(async (peer) => {
      const refused = await peer.nextFrame()
      // error 35, one API: 18, from 0 to 3
      await peer.answer(refused, '0023 00000001 0012 0000 0003')
      await shakeHands(peer, offered)
    })
    expect(asked).toEqual([[4, 3]])
  })

  test('asks at 0 when error 35 comes with an empty list, as brokers before 2.4 send it', async () => {
    const asked = await askedOf(async (peer) => {
      const refused = await peer.nextFrame()
      await peer.answer(refused, '0023 00000000')
      await shakeHands(peer, offered)
    })
    expect(asked).toEqual([[4, 0]])
  })

  test.each([
    ['reset', 'reset'],
    ['end', 'end'],
  ] as const)('a %s at version 4, as Azure Event Hubs does it, leads to a new connection at 3', async (_what, how) => {
    const asked = await askedOf(async (peer, index) => {
      if (index > 0) {
        await shakeHands(peer, offered)
        return
      }
      await peer.nextFrame()
      peer[how]()
    })
    expect(asked).toEqual([[4], [3]])
  })

  test('the second connection still follows error 35', async () => {
    const asked = await askedOf(async (peer, index) => {
      const frame = await peer.nextFrame()
      if (index === 0) {
        peer.reset()
        return
      }
      await peer.answer(frame, '0023 00000001 0012 0000 0002')
      await shakeHands(peer, offered)
    })
    expect(asked).toEqual([[4], [3, 2]])
  })

  test('resets at both versions end it, with what to look at', async () => {
    const { error, asked } = await failureOf(async (peer) => {
      await peer.nextFrame()
      peer.reset()
    })
    expect(asked).toEqual([[4], [3]])
    expect(error).toMatchObject({
      code: 'CONNECTION_CLOSED',
      broker: 'b:9092',
      hint: 'The listener may expect TLS, or may not be Kafka',
      cause: { code: 'ECONNRESET' },
    })
  })

  test("the broker's own error has its name", async () => {
    // error 42 (INVALID_REQUEST), no APIs, throttle 0, no tags
    const { error } = await failureOf(async (peer) => peer.answer(await peer.nextFrame(), '002a 01 00000000 00'))
    expect(error).toMatchObject({
      code: 'INVALID_REQUEST',
      broker: 'b:9092',
      message: expect.stringContaining('b:9092 refused ApiVersions'),
    })
  })

  test('an answer with another correlation id is PROTOCOL_ERROR, and no second attempt', async () => {
    const { error, asked } = await failureOf(async (peer) => {
      await peer.nextFrame()
      await peer.send('00000010 00000009 0023 00000001 0012 0000 0003')
    })
    expect(error).toMatchObject({ code: 'PROTOCOL_ERROR' })
    expect(asked).toEqual([[4]])
  })

  test('a broker that answers byte by byte is understood', async () => {
    await using server = await startWireServer(async (peer) => {
      const frame = await peer.nextFrame()
      const body = apiVersionsBody(frame.apiVersion, offered)
      await peer.sendByteByByte(bytes().int32(0).raw(body).framed())
    })
    const { connection } = await open(server)
    expect(connection.versionFor(probe)).toBe(1)
    connection.close()
  })
})

describe('an address that is not a broker of ours', () => {
  test('a web server', async () => {
    const { error, asked } = await failureOf(async (peer) => {
      await peer.nextFrame()
      await peer.send(Buffer.from('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'))
      peer.end()
    })
    expect(error).toMatchObject({ code: 'NOT_KAFKA', broker: 'b:9092', retriable: false })
    expect((error as Error).message).toContain("starts with 'HTTP': this is a web server, not Kafka")
    expect(asked).toEqual([[4]])
  })

  test('a listener with TLS', async () => {
    const { error } = await failureOf(async (peer) => {
      await peer.nextFrame()
      await peer.send('15 03 03 00 02 02 50')
      peer.end()
    })
    expect(error).toMatchObject({ code: 'TLS_EXPECTED', broker: 'b:9092', retriable: false })
    expect((error as Error).message).toContain('a TLS alert (15 03 03 00): this listener expects TLS')
  })

  test('nobody listening', async () => {
    const server = await startWireServer(() => {})
    await server.close()
    await expect(open(server)).rejects.toMatchObject({ code: 'CONNECTION_FAILED', cause: { code: 'ECONNREFUSED' } })
  })

  test('a name that does not exist', async () => {
    await expect(open({ host: 'kafka-wire.invalid', port: 9092 })).rejects.toMatchObject({ code: 'DNS_FAILED' })
  })

  test('several addresses of which the first refuses', async () => {
    await using server = await startWireServer(async (peer) => void (await shakeHands(peer, offered)))
    const dial = createTcpDial({ lookup: async () => ['127.0.0.2', '127.0.0.1'] })
    const { connection } = await open({ host: 'kafka', port: server.port }, { dial })
    expect(connection.state).toEqual({ kind: 'open' })
    connection.close()
  })

  test('one that takes the connection and says nothing: time for all of it is setupTimeoutMs', async () => {
    const { options, clock } = connectionOptions()
    let heard: () => void = () => {}
    const hears = new Promise<void>((resolve) => {
      heard = resolve
    })
    let gone: Promise<void> | undefined
    await using server = await startWireServer(async (peer) => {
      gone = peer.gone
      await peer.nextFrame()
      heard()
    })
    const opening = Connection.open(server, options, new AbortController().signal)
    const failure = expect(opening).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
      broker: 'b:9092',
      message: 'b:9092: timed out after 10000 ms, waiting for the answer to ApiVersions',
    })
    await hears
    clock.advance(10_000)
    await failure
    await gone
    await turns(2)
    expect(clock.pendingDelaysMs).toEqual([])
  })
})

describe('the signal', () => {
  test('aborted during the handshake ends it with the reason and destroys the socket', async () => {
    const { options, clock } = connectionOptions()
    const abort = new AbortController()
    const closed = kafkaError('CLOSED', 'the producer is closed')
    let gone: Promise<void> | undefined
    await using server = await startWireServer(async (peer) => {
      gone = peer.gone
      await peer.nextFrame()
      abort.abort(closed)
    })
    await expect(Connection.open(server, options, abort.signal)).rejects.toBe(closed)
    await gone
    await turns(2)
    expect(server.connectionCount).toBe(1)
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('aborted beforehand opens nothing', async () => {
    const { options } = connectionOptions({ dial: () => Promise.reject(new Error('dialed')) })
    const opening = Connection.open({ host: 'b', port: 9092 }, options, AbortSignal.abort())
    await expect(opening).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
      message: expect.stringContaining('nobody waits'),
    })
  })

  test('aborted afterwards does nothing', async () => {
    const { options } = connectionOptions()
    const abort = new AbortController()
    await using server = await startWireServer(async (peer) => void (await shakeHands(peer, offered)))
    const connection = await Connection.open(server, options, abort.signal)
    abort.abort()
    await turns(3)
    expect(connection.state).toEqual({ kind: 'open' })
    connection.close()
  })
})

test('an idle open connection keeps no process alive, a request under way does', async () => {
  let hasAnswered = false
  await using server = await startWireServer(async (peer) => {
    await shakeHands(peer, offered)
    const frame = await peer.nextFrame()
    // Long enough for a process that does not wait to be gone.
    await turns(200)
    hasAnswered = true
    // no tags in the header, 7, no tags
    await peer.answer(frame, '00 00000007 00')
  })
  const script = new URL('../support/idle-connection.ts', import.meta.url)
  const child = spawn(process.execPath, [script.pathname, String(server.port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const [code] = await once(child, 'close')
  expect(output).toBe('open\nanswer 7\nidle\n')
  expect(hasAnswered).toBe(true)
  expect(code).toBe(0)
}, 20_000)
