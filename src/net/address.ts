// Address: where a broker listens. Turns what users write into hosts and ports, once, with an error that names the entry.
// From: producer/options.ts, cli. To: broker-pool.ts, dial.ts.
import { isIPv6 } from 'node:net'
import { type KafkaError, kafkaError } from '../errors.ts'

export interface Address {
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string
  readonly port: number
}

const DEFAULT_PORT = 9092
const EXAMPLE = "Write 'host:port', as in 'localhost:9092' or '[::1]:9092', several separated by commas"

/**
 * Reads `'host:port'`, `'[::1]:9092'`, `'PLAINTEXT://host:port'`, several with commas between them, or an array of such strings.
 * Without a port it is 9092. As in Java, empty parts between commas are passed over; an array's element must not be empty.
 * The same address twice is kept once.
 *
 * @throws INVALID_CONFIG (`ConfigError`) naming the entry and what is wrong with it.
 */
export function parseBootstrapServers(value: string | readonly string[]): Address[] {
  if (typeof value !== 'string' && !Array.isArray(value)) {
    throw invalid(`bootstrapServers is ${describe(value)}, but must be a string or an array of strings`, EXAMPLE)
  }
  const addresses = new Map<string, Address>()
  for (const entry of typeof value === 'string' ? listed(value) : value.flatMap(elementListed)) {
    const address = parseAddress(entry)
    addresses.set(formatAddress(address), address)
  }
  if (addresses.size === 0) throw invalid('bootstrapServers is empty: it must name at least one broker', EXAMPLE)
  return [...addresses.values()]
}

/** `host:port`, an IPv6 host in brackets. */
export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

const listed = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

// An empty element is most often an environment variable that is not set: passing over it would hide that.
function elementListed(element: unknown, index: number): string[] {
  if (typeof element !== 'string')
    throw invalid(`bootstrapServers[${index}] is ${describe(element)}, not a string`, EXAMPLE)
  const entries = listed(element)
  if (entries.length === 0) throw invalid(`bootstrapServers[${index}] is empty`, EXAMPLE)
  return entries
}

function parseAddress(entry: string): Address {
  const scheme = /^([^:/[\]]*):\/\//.exec(entry)
  if (scheme !== null) refuseScheme(entry, scheme[1]!)
  const rest = scheme === null ? entry : entry.slice(scheme[0].length)
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(rest)
  if (bracketed !== null) {
    const host = bracketed[1]!
    if (!isIPv6(host)) throw invalidEntry(entry, `'${host}' is not an IPv6 address`, EXAMPLE)
    return { host, port: parsePort(entry, bracketed[2]) }
  }
  const parts = rest.split(':')
  if (parts.length > 2) {
    // '::1:9092' is itself a complete IPv6 address: without brackets nobody can tell where the port begins.
    throw invalidEntry(entry, 'there is more than one colon', "An IPv6 address goes into brackets: '[::1]:9092'")
  }
  const host = parts[0]!
  if (host === '') throw invalidEntry(entry, 'the host is missing', EXAMPLE)
  const odd = /[\s/\\@?#[\]'"<>]/.exec(host)
  if (odd !== null) throw invalidEntry(entry, `a host has no ${JSON.stringify(odd[0])} in it`, EXAMPLE)
  return { host, port: parsePort(entry, parts[1]) }
}

function parsePort(entry: string, text: string | undefined): number {
  if (text === undefined) return DEFAULT_PORT
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535)
    throw invalidEntry(entry, `the port is '${text}', not a number from 1 to 65535`, EXAMPLE)
  return port
}

function refuseScheme(entry: string, scheme: string): void {
  const name = scheme.toUpperCase()
  if (name === 'PLAINTEXT') return
  if (name === 'SSL' || name === 'SASL_SSL' || name === 'SASL_PLAINTEXT') {
    const what = name === 'SSL' ? 'TLS' : name === 'SASL_PLAINTEXT' ? 'SASL' : 'SASL over TLS'
    throw invalidEntry(
      entry,
      `${what} is not available yet`,
      "Use a PLAINTEXT listener, or bring a secured stream through 'dial'",
    )
  }
  throw invalidEntry(entry, `'${scheme}://' is not a security protocol of Kafka`, 'Leave it out, or write PLAINTEXT://')
}

const describe = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value

const invalidEntry = (entry: string, reason: string, hint: string): KafkaError =>
  invalid(`bootstrapServers has an entry '${entry}' that is no address: ${reason}`, hint)

const invalid = (message: string, hint: string): KafkaError => kafkaError('INVALID_CONFIG', message, { hint })
