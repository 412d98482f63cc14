import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import { formatAddress, parseBootstrapServers } from '../../src/net/address.ts'

const messageOf = (value: unknown): string => {
  try {
    parseBootstrapServers(value as string)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', retriable: false })
    return (error as Error).message
  }
  throw new Error(`${JSON.stringify(value)} was accepted`)
}

describe('parseBootstrapServers', () => {
  test.each([
    ['localhost:9092', [{ host: 'localhost', port: 9092 }]],
    ['kafka', [{ host: 'kafka', port: 9092 }]],
    ['10.1.2.3:1', [{ host: '10.1.2.3', port: 1 }]],
    ['kafka_1.example.com:65535', [{ host: 'kafka_1.example.com', port: 65_535 }]],
    ['[::1]:9093', [{ host: '::1', port: 9093 }]],
    ['[2001:db8::7]', [{ host: '2001:db8::7', port: 9092 }]],
    ['PLAINTEXT://kafka:29092', [{ host: 'kafka', port: 29_092 }]],
    ['plaintext://[::1]:9093', [{ host: '::1', port: 9093 }]],
  ])('%s is an address', (text, addresses) => {
    expect(parseBootstrapServers(text)).toEqual(addresses)
  })

  test('several stand between commas, with any space, in their order', () => {
    expect(parseBootstrapServers(' a:1 ,b:2,\n c ')).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
      { host: 'c', port: 9092 },
    ])
  })

  test('an array may hold lists too', () => {
    expect(parseBootstrapServers(['a:1', 'b:2,c:3'])).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
      { host: 'c', port: 3 },
    ])
  })

  test('a comma too many is passed over, as in Java', () => {
    expect(parseBootstrapServers('a:1,,b:2,')).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ])
  })

  test('the same address twice is one', () => {
    expect(parseBootstrapServers('a:9092,b:1,a')).toEqual([
      { host: 'a', port: 9092 },
      { host: 'b', port: 1 },
    ])
  })

  test.each([
    ['', 'bootstrapServers is empty'],
    [' , ', 'bootstrapServers is empty'],
    [[], 'bootstrapServers is empty'],
    [['a:1', ''], 'bootstrapServers[1] is empty'],
    [['a:1', 7], 'bootstrapServers[1] is number, not a string'],
    [undefined, 'bootstrapServers is undefined'],
    [null, 'bootstrapServers is null'],
    [9092, 'bootstrapServers is number'],
    ['a:1,b:', "'b:' that is no address: the port is '', not a number from 1 to 65535"],
    ['b:0', "the port is '0'"],
    ['b:65536', "the port is '65536'"],
    ['b:9092/', "the port is '9092/'"],
    ['b:9o92', "the port is '9o92'"],
    ['b:-1', "the port is '-1'"],
    [':9092', 'the host is missing'],
    ['PLAINTEXT://', 'the host is missing'],
    ['my host:9092', 'a host has no " " in it'],
    ['user@host:9092', 'a host has no "@" in it'],
    ['::1:9092', "An IPv6 address goes into brackets: '[::1]:9092'"],
    ['[kafka]:9092', "'kafka' is not an IPv6 address"],
    ['[::1', 'more than one colon'],
    ['[::1]9092', 'more than one colon'],
    ['SSL://b:9093', 'TLS is not available yet'],
    ['SASL_SSL://b:9093', 'SASL over TLS is not available yet'],
    ['SASL_PLAINTEXT://b:9093', 'SASL is not available yet'],
    ['http://b:9092', "'http://' is not a security protocol of Kafka"],
    ['://b:9092', "'://' is not a security protocol of Kafka"],
  ])('%j is refused by its name', (value, message) => {
    expect(messageOf(value)).toContain(message)
  })

  test('the entry that is wrong is named', () => {
    expect(messageOf('a:1,b:x,c:3')).toContain("an entry 'b:x'")
  })
})

test('an address prints as it is written, IPv6 in brackets', () => {
  expect(formatAddress({ host: 'kafka', port: 9092 })).toBe('kafka:9092')
  expect(formatAddress({ host: '::1', port: 9092 })).toBe('[::1]:9092')
})
