// Free ports on 127.0.0.1 for brokers that must keep theirs over a restart.

import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'

// Not from the range that the system hands out (listen on 0): it also takes the local ports of outgoing connections from there. While
// a broker is down, a producer that keeps dialling its port could be given that very port and be connected to itself, or hold it when
// the broker comes back.
const LOWEST_PORT = 15_000

/** `count` different ports that nobody listens on now. Another process may still be faster: be ready to ask again. */
export async function freePorts(count: number): Promise<number[]> {
  const beyond = firstEphemeralPort()
  const servers: Server[] = []
  try {
    for (let tries = 0; servers.length < count; tries++) {
      if (tries > 50 * count) throw new Error(`found no ${count} free ports between ${LOWEST_PORT} and ${beyond}`)
      const server = await listen(randomInt(LOWEST_PORT, beyond))
      if (server !== undefined) servers.push(server)
    }
    return servers.map(portOf)
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  }
}

function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ port, host: '127.0.0.1' }, () => resolve(server))
  })
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a server without a port')
  return address.port
}

function firstEphemeralPort(): number {
  try {
    const first = Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10)
    return first > LOWEST_PORT + 1000 ? first : 32_768
  } catch {
    return 32_768 // no Linux: the others begin at 49152
  }
}
