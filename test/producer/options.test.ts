// Options: defaults, every check and every rule between options, and the one ConfigError that lists all faults.
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { ConfigError } from '../../src/errors.ts'
import { tcpDial } from '../../src/net/dial.ts'
import { type OptionName, optionNames } from '../../src/producer/option-table.ts'
import { resolveOptions } from '../../src/producer/options.ts'
import type { ProducerOptions } from '../../src/producer/types.ts'

const bootstrapServers = 'localhost:9092'

// Most options here are wrong on purpose, which the compiler would not let through.
const resolve = (options: unknown) => resolveOptions(options as ProducerOptions)

const messageOf = (options: unknown): string => {
  try {
    resolve(options)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', retriable: false })
    return (error as ConfigError).message
  }
  throw new Error('nothing was thrown')
}

const faultOf = (options: object): string => messageOf({ bootstrapServers, ...options })

describe('what comes out', () => {
  test('everything has its default when only bootstrapServers is given', () => {
    expect(resolve({ bootstrapServers })).toEqual({
      bootstrapServers: [{ host: 'localhost', port: 9092 }],
      clientId: 'kafka-wire',
      keySerializer: undefined,
      valueSerializer: undefined,
      acks: -1,
      enableIdempotence: true,
      transactionalId: undefined,
      transactionTimeoutMs: 60_000,
      retries: 2_147_483_647,
      retryBackoffMs: 100,
      retryBackoffMaxMs: 1_000,
      deliveryTimeoutMs: 120_000,
      requestTimeoutMs: 30_000,
      maxBlockMs: 60_000,
      lingerMs: 0,
      batchSize: 65_536,
      bufferMemory: 33_554_432,
      maxPendingRecords: 10_000,
      maxWaitingSends: 1_000_000,
      maxWaitingBytes: 268_435_456,
      overflow: 'reject',
      maxInFlightRequestsPerConnection: 5,
      maxRequestSize: 1_048_576,
      compressionType: 'none',
      compressionLevel: undefined,
      codecs: undefined,
      partitioner: 'java',
      partitionerIgnoreKeys: false,
      partitionerAdaptive: true,
      partitionerAvailabilityTimeoutMs: 0,
      metadataMaxAgeMs: 300_000,
      metadataMaxIdleMs: 300_000,
      metadataRecoveryStrategy: 'rebootstrap',
      metadataRecoveryRebootstrapTriggerMs: 300_000,
      allowAutoTopicCreation: true,
      connectionsMaxIdleMs: 540_000,
      reconnectBackoffMs: 50,
      reconnectBackoffMaxMs: 1_000,
      socketConnectionSetupTimeoutMs: 10_000,
      socketConnectionSetupTimeoutMaxMs: 30_000,
      clientDnsLookup: 'useAllDnsIps',
      tls: undefined,
      sasl: undefined,
      brokerAddressMapper: undefined,
      dial: tcpDial,
      logger: undefined,
      interceptors: [],
      clock: systemClock,
      random: Math.random,
      notes: [],
    })
  })

  test('several addresses are all kept, from a text with commas and from an array', () => {
    const both = [
      { host: 'a', port: 1 },
      { host: '::1', port: 2 },
    ]
    expect(resolve({ bootstrapServers: 'a:1,[::1]:2' }).bootstrapServers).toEqual(both)
    expect(resolve({ bootstrapServers: ['a:1', '[::1]:2'] }).bootstrapServers).toEqual(both)
  })

  test("acks 'all' and -1 are one thing", () => {
    expect(resolve({ bootstrapServers, acks: 'all' }).acks).toBe(-1)
    expect(resolve({ bootstrapServers, acks: -1 }).acks).toBe(-1)
  })

  test('an option that is given as undefined keeps its default, and counts as not given', () => {
    const options = resolve({ bootstrapServers, lingerMs: undefined, acks: 1, enableIdempotence: undefined })
    expect(options.lingerMs).toBe(0)
    expect(options.enableIdempotence).toBe(false)
  })

  test('batchSize 0 lets each record travel alone', () => {
    expect(resolve({ bootstrapServers, batchSize: 0 }).batchSize).toBe(1)
  })

  test('the result is frozen and the input is not touched, not even when it is frozen itself', () => {
    const interceptors = Object.freeze([Object.freeze({ onSend: <T>(record: T) => record })])
    const servers = Object.freeze(['a:1'])
    const given = Object.freeze({ bootstrapServers: servers, interceptors })
    const options = resolve(given)
    expect(Object.isFrozen(options)).toBe(true)
    expect(Object.isFrozen(options.interceptors)).toBe(true)
    expect(Object.isFrozen(options.bootstrapServers)).toBe(true)
    expect(given).toEqual({ bootstrapServers: ['a:1'], interceptors: [{ onSend: expect.any(Function) }] })
  })

  test('a getter is read once: what was checked is what is used', () => {
    let reads = 0
    const options = resolve({
      bootstrapServers,
      get lingerMs() {
        return ++reads === 1 ? 5 : -1
      },
    })
    expect(options.lingerMs).toBe(5)
    expect(reads).toBe(1)
  })

  test('a clock, a source of chance and earlier notes come in by the second argument only', () => {
    const clock = { ...systemClock }
    const random = () => 0.5
    const options = resolveOptions({ bootstrapServers, acks: 1 }, { clock, random, notes: ['first'] })
    expect(options.clock).toBe(clock)
    expect(options.random).toBe(random)
    expect(options.notes).toHaveLength(2)
    expect(options.notes[0]).toBe('first')
    expect(faultOf({ clock })).toMatch(/^unknown option 'clock'/)
  })
})

describe('bootstrapServers', () => {
  test.each([undefined, {}])('missing it is a fault (%j)', (options) => {
    expect(messageOf({ bootstrapServers: undefined, ...options })).toBe(
      "bootstrapServers is missing: name at least one broker, as in 'localhost:9092'",
    )
  })

  test.each([
    ['', 'bootstrapServers is empty'],
    [[], 'bootstrapServers is empty'],
    [5, 'bootstrapServers is number'],
    ['a:1,b:x', "'b:x'"],
    ['SSL://a:9093', 'TLS'],
    ['SASL_SSL://a:9093', 'SASL'],
  ])('%j is refused and named', (value, text) => {
    expect(messageOf({ bootstrapServers: value })).toContain(text)
  })
})

describe('one option at a time', () => {
  test.each([null, undefined, 'localhost:9092', 5, ['localhost:9092'], () => {}])('%j is no options', (options) => {
    expect(messageOf(options)).toMatch(/^the options are .+, but must be an object, as in \{ bootstrapServers/)
  })

  const wrong: readonly (readonly [OptionName, readonly unknown[], string])[] = [
    ['clientId', ['', 5, null, 'x'.repeat(32_768)], 'a text of 1 to 32,767 bytes'],
    ['keySerializer', ['string', {}], 'a function (key, topic, headers) => Uint8Array | string | null'],
    ['valueSerializer', ['json', {}], 'a function (value, topic, headers) => Uint8Array | string | null'],
    ['acks', [2, '1', 'ALL', true, null], "0, 1, 'all' or -1"],
    ['enableIdempotence', ['true', 1, null], 'true or false'],
    ['transactionalId', ['', 5], 'a text of 1 to 32,767 bytes'],
    ['transactionTimeoutMs', [0, -1], 'a whole number of milliseconds from 1 to 2,147,483,647'],
    ['retries', [-1, 1.5, '3', 2 ** 31, Number.POSITIVE_INFINITY], 'a whole number from 0 to 2,147,483,647'],
    ['retryBackoffMs', [-1, '100'], 'a whole number of milliseconds from 0 to 2,147,483,647'],
    ['retryBackoffMaxMs', [-1], 'a whole number of milliseconds from 0 to 2,147,483,647'],
    ['deliveryTimeoutMs', [0, Number.NaN], 'a whole number of milliseconds from 1 to 2,147,483,647'],
    ['requestTimeoutMs', [0], 'a whole number of milliseconds from 1 to 2,147,483,647'],
    ['maxBlockMs', [-1, 1n], 'a whole number of milliseconds from 0 to 2,147,483,647'],
    ['lingerMs', [-1, 0.5, '5'], 'a whole number of milliseconds from 0 to 2,147,483,647'],
    ['batchSize', [-1], 'a whole number of bytes from 0 to 2,147,483,648'],
    ['bufferMemory', [0, 2 ** 31 + 1], 'a whole number of bytes from 1 to 2,147,483,648'],
    ['maxPendingRecords', [0], 'a whole number from 1 to 2,147,483,647'],
    ['maxWaitingSends', [-1], 'a whole number from 0 to 2,147,483,647'],
    ['maxWaitingBytes', [-1, 2 ** 53], 'a whole number of bytes from 0 to 9,007,199,254,740,991'],
    ['overflow', ['block', 'drop-newest'], "'reject' or 'drop-oldest'"],
    ['maxInFlightRequestsPerConnection', [0], 'a whole number from 1 to 2,147,483,647'],
    ['maxRequestSize', [0], 'a whole number of bytes from 1 to 2,147,483,647'],
    ['compressionType', ['brotli', 1], "'none', 'gzip', 'snappy', 'lz4' or 'zstd'"],
    ['compressionLevel', ['9', 23], 'a whole number from -131,072 to 22'],
    ['codecs', ['zstd'], 'an object { gzip?, snappy?, lz4?, zstd? } of { compress, decompress }'],
    [
      'partitioner',
      ['murmur2', {}],
      "'java', 'random', 'roundRobin', 'consistentRandom' or a function (topic, keyBytes, record, partitions) => partition",
    ],
    ['partitionerIgnoreKeys', [0], 'true or false'],
    ['partitionerAdaptive', ['no'], 'true or false'],
    ['partitionerAvailabilityTimeoutMs', [-1], 'a whole number of milliseconds from 0 to 2,147,483,647'],
    ['metadataMaxAgeMs', [-1], 'a whole number of milliseconds from 0 to 2,147,483,647'],
    ['metadataMaxIdleMs', [4_999], 'a whole number of milliseconds from 5,000 to 2,147,483,647'],
    ['metadataRecoveryStrategy', ['always'], "'none' or 'rebootstrap'"],
    ['metadataRecoveryRebootstrapTriggerMs', [-1], 'a whole number of milliseconds from 0 to 2,147,483,647'],
    ['allowAutoTopicCreation', ['yes'], 'true or false'],
    ['connectionsMaxIdleMs', [-2], 'a whole number of milliseconds from -1 to 2,147,483,647'],
    ['reconnectBackoffMs', [-1], 'a whole number of milliseconds from 0 to 2,147,483,647'],
    ['reconnectBackoffMaxMs', [-1], 'a whole number of milliseconds from 0 to 2,147,483,647'],
    ['socketConnectionSetupTimeoutMs', [0], 'a whole number of milliseconds from 1 to 2,147,483,647'],
    ['socketConnectionSetupTimeoutMaxMs', [0], 'a whole number of milliseconds from 1 to 2,147,483,647'],
    ['clientDnsLookup', ['default'], "'useAllDnsIps'"],
    ['tls', ['on', 1], "true, false or an object of Node's tls.connect options"],
    ['sasl', ['PLAIN', {}], 'an object { mechanism, ... }'],
    ['brokerAddressMapper', [{}], 'a function (host, port, nodeId) => ({ host, port })'],
    ['dial', ['tcp'], 'a function ({ host, port, signal }) => Promise<Duplex>'],
    ['logger', [console.log, {}, null, { info() {} }], 'an object with the functions debug, info, warn and error'],
    [
      'interceptors',
      [{}, [null], [{}], [{ onSend: 'x' }], [() => {}]],
      'an array of objects with the functions onSend and/or onAcknowledgement',
    ],
  ]

  const cases = wrong.flatMap(([name, values, must]) =>
    values.map((value) => [name, inspect(value, { maxStringLength: 20 }), value, must] as const),
  )

  test.each(cases)('%s cannot be %s', (name, _, value, must) => {
    const message = faultOf({ [name]: value })
    expect(message.startsWith(`${name} is `)).toBe(true)
    expect(message.endsWith(`, but must be ${must}`)).toBe(true)
  })

  test('every option but bootstrapServers is in that list', () => {
    expect(wrong.map(([name]) => name).sort()).toEqual(optionNames.filter((name) => name !== 'bootstrapServers').sort())
  })

  test('the value is shown as it is, a text in quotes, a long one cut, an object not at all', () => {
    expect(faultOf({ lingerMs: -5 })).toMatch(/^lingerMs is -5, /)
    expect(faultOf({ lingerMs: '5' })).toMatch(/^lingerMs is '5', /)
    expect(faultOf({ lingerMs: 5n })).toMatch(/^lingerMs is 5n, /)
    expect(faultOf({ lingerMs: null })).toMatch(/^lingerMs is null, /)
    expect(faultOf({ lingerMs: 'x'.repeat(1000) })).toContain(`'${'x'.repeat(60)}…' (1000 characters)`)
    expect(faultOf({ lingerMs: { secret: 'hunter2' } })).toMatch(/^lingerMs is an object, /)
    expect(faultOf({ lingerMs: ['hunter2'] })).toMatch(/^lingerMs is an array, /)
  })

  test('a wrong value where secrets live is not shown at all', () => {
    expect(faultOf({ sasl: 'app:hunter2' })).toMatch(/^sasl is a string, /)
    expect(faultOf({ tls: '-----BEGIN PRIVATE KEY-----' })).toMatch(/^tls is a string, /)
  })

  test.each([
    [{ logger: console }],
    [{ interceptors: [{ onAcknowledgement() {} }, { onSend: <T>(record: T) => record }] }],
    [{ partitioner: () => 0 }],
    [{ partitioner: 'consistentRandom' }],
    [{ connectionsMaxIdleMs: -1 }],
    [{ bufferMemory: 2_147_483_648 }],
    [{ tls: false }],
    [{ compressionType: 'none' }],
  ])('%j is fine', (options) => {
    expect(resolve({ bootstrapServers, ...options }).notes).toEqual([])
  })
})

describe('what this version does not have yet', () => {
  test.each([
    [{ tls: true }, 'tls: this version of kafka-wire has no TLS yet'],
    [{ tls: {} }, 'tls: this version of kafka-wire has no TLS yet'],
    [{ sasl: { mechanism: 'PLAIN' } }, 'sasl: this version of kafka-wire has no SASL yet'],
    [{ transactionalId: 'pay-1' }, 'transactionalId: this version of kafka-wire has no transactions yet'],
    [{ compressionType: 'gzip' }, 'compressionType: this version of kafka-wire has no compression yet'],
    [{ compressionLevel: 3 }, 'compressionLevel: this version of kafka-wire has no compression yet'],
    [{ codecs: {} }, 'codecs: this version of kafka-wire has no compression yet'],
  ])('%j says so', (options, message) => {
    expect(faultOf(options)).toBe(message)
  })
})

describe('options together', () => {
  test.each([
    [{ acks: 0 }, 'acks is 0'],
    [{ acks: 1 }, 'acks is 1'],
    [{ retries: 0 }, 'retries is 0'],
    [{ acks: 1, retries: 0 }, 'acks is 1 and retries is 0'],
  ])('%j switches idempotence off and says so', (options, reason) => {
    const { enableIdempotence, notes } = resolve({ bootstrapServers, ...options })
    expect(enableIdempotence).toBe(false)
    expect(notes).toEqual([
      `enableIdempotence is switched off, since ${reason}: it needs acks 'all' and at least one retry`,
    ])
  })

  test.each([
    [{ acks: 1 }, 'acks is 1'],
    [{ retries: 0 }, 'retries is 0'],
  ])('%j contradicts an explicit enableIdempotence', (options, reason) => {
    expect(faultOf({ enableIdempotence: true, ...options })).toBe(
      `enableIdempotence is true, but ${reason}: it needs acks 'all' and at least one retry`,
    )
  })

  test('with idempotence switched off by hand there is nothing to say', () => {
    const options = { enableIdempotence: false, acks: 0, retries: 0, maxInFlightRequestsPerConnection: 100 }
    expect(resolve({ bootstrapServers, ...options }).notes).toEqual([])
  })

  test.each([{}, { enableIdempotence: true }, { acks: 1 }])(
    'more than 5 in flight need an explicit false, with %j too',
    (others) => {
      expect(faultOf({ maxInFlightRequestsPerConnection: 6, ...others })).toContain(
        'maxInFlightRequestsPerConnection is 6: more than 5 lose the order of records when one is sent again',
      )
    },
  )

  test('deliveryTimeoutMs below lingerMs + requestTimeoutMs is refused when it was given', () => {
    expect(faultOf({ deliveryTimeoutMs: 30_004, lingerMs: 5 })).toBe(
      'deliveryTimeoutMs is 30004, but must be at least lingerMs + requestTimeoutMs (30005): ' +
        'otherwise a record could expire before the first answer',
    )
    expect(resolve({ bootstrapServers, deliveryTimeoutMs: 30_005, lingerMs: 5 }).deliveryTimeoutMs).toBe(30_005)
  })

  test('its default is raised instead, with a line in the log', () => {
    const { deliveryTimeoutMs, notes } = resolve({ bootstrapServers, requestTimeoutMs: 200_000, lingerMs: 5 })
    expect(deliveryTimeoutMs).toBe(200_005)
    expect(notes).toEqual(['deliveryTimeoutMs is raised from 120000 to 200005, which is lingerMs + requestTimeoutMs'])
  })

  test('a sum beyond the longest time is cut to it', () => {
    const longest = 2_147_483_647
    expect(resolve({ bootstrapServers, requestTimeoutMs: longest, lingerMs: longest }).deliveryTimeoutMs).toBe(longest)
  })

  test('bufferMemory must hold one batch', () => {
    expect(faultOf({ bufferMemory: 65_535 })).toBe(
      'bufferMemory is 65535, but must hold at least one batch: 65536 bytes with batchSize 65536',
    )
    expect(resolve({ bootstrapServers, bufferMemory: 65_536 }).bufferMemory).toBe(65_536)
  })

  test('however small the batches, one takes 4 KiB', () => {
    expect(faultOf({ bufferMemory: 4_095, batchSize: 100 })).toContain('4096 bytes with batchSize 100')
    expect(resolve({ bootstrapServers, bufferMemory: 4_096, batchSize: 100 }).bufferMemory).toBe(4_096)
  })

  test('batches end at maxRequestSize, which is worth a line only when batchSize was given', () => {
    const silent = resolve({ bootstrapServers, maxRequestSize: 10_000 })
    expect(silent.batchSize).toBe(10_000)
    expect(silent.notes).toEqual([])
    const said = resolve({ bootstrapServers, maxRequestSize: 10_000, batchSize: 20_000 })
    expect(said.batchSize).toBe(10_000)
    expect(said.notes).toEqual(['batchSize 20000 is above maxRequestSize 10000: batches end at 10000'])
  })

  test("overflow 'drop-oldest' cannot go with a transaction", () => {
    expect(faultOf({ overflow: 'drop-oldest', transactionalId: 'pay-1' })).toContain(
      "overflow is 'drop-oldest', but transactionalId is set",
    )
  })

  test('reconnectBackoffMs given alone is constant, as in Java', () => {
    expect(resolve({ bootstrapServers, reconnectBackoffMs: 5_000 })).toMatchObject({
      reconnectBackoffMs: 5_000,
      reconnectBackoffMaxMs: 5_000,
      notes: [],
    })
    expect(resolve({ bootstrapServers, reconnectBackoffMs: 10 }).reconnectBackoffMaxMs).toBe(10)
  })

  test.each([
    ['retryBackoffMs', 'retryBackoffMaxMs'],
    ['reconnectBackoffMs', 'reconnectBackoffMaxMs'],
    ['socketConnectionSetupTimeoutMs', 'socketConnectionSetupTimeoutMaxMs'],
  ] as const)('%s above %s is cut to it, with a line in the log', (name, maxName) => {
    const options = resolve({ bootstrapServers, [name]: 3_000, [maxName]: 2_000 })
    expect(options[name]).toBe(2_000)
    expect(options.notes).toEqual([`${name} 3000 is above ${maxName} 2000: it is 2000 each time`])
  })
})

describe('several faults', () => {
  test('are all in the one error, each on a line of its own', () => {
    expect(messageOf({ brokers: 'a:1', lingerMs: -1, acks: 1, enableIdempotence: true })).toBe(
      [
        '3 faults in the options:',
        "- unknown option 'brokers': kafka-wire calls it 'bootstrapServers'",
        '- lingerMs is -1, but must be a whole number of milliseconds from 0 to 2,147,483,647',
        "- enableIdempotence is true, but acks is 1: it needs acks 'all' and at least one retry",
      ].join('\n'),
    )
  })

  test('a value that is wrong already takes no part in the rules between options', () => {
    expect(faultOf({ requestTimeoutMs: -1, deliveryTimeoutMs: 31_000 })).toMatch(/^requestTimeoutMs is -1/)
  })

  test('a fault in the addresses is among them', () => {
    expect(messageOf({ bootstrapServers: 'a:x', lingerMs: -1 })).toMatch(/^2 faults .*lingerMs is -1.*'a:x'/s)
  })
})
