// An existing producer.properties becomes options, or an error that names Java's property.
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import { optionNames, optionTable } from '../../src/producer/option-table.ts'
import { resolveOptions } from '../../src/producer/options.ts'
import { optionsFromProperties } from '../../src/producer/properties.ts'
import { bytesSerializer, jsonSerializer, stringSerializer } from '../../src/producer/serializers.ts'

const messageOf = (source: unknown): string => {
  try {
    optionsFromProperties(source as string)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message
  }
  throw new Error('nothing was thrown')
}

const optionsOf = (source: string | Record<string, unknown>) => optionsFromProperties(source).options

describe('a file', () => {
  test('becomes options of the right types', () => {
    const text = `
      # producer.properties
      bootstrap.servers = kafka-1:9092,\\
                          kafka-2:9092
      client.id: billing
      acks=all
      enable.idempotence=TRUE
      retries=3
      linger.ms=5
      batch.size=32768
      max.in.flight.requests.per.connection=1
      connections.max.idle.ms=-1
      compression.type=none
      metadata.recovery.strategy=none
      partitioner.ignore.keys=false
      client.dns.lookup=use_all_dns_ips
      security.protocol=plaintext
      allow.auto.create.topics=false
      key.serializer=org.apache.kafka.common.serialization.StringSerializer
      value.serializer=org.apache.kafka.common.serialization.ByteArraySerializer
    `
    expect(optionsFromProperties(text)).toEqual({
      options: {
        bootstrapServers: 'kafka-1:9092,kafka-2:9092',
        clientId: 'billing',
        acks: 'all',
        enableIdempotence: true,
        retries: 3,
        lingerMs: 5,
        batchSize: 32_768,
        maxInFlightRequestsPerConnection: 1,
        connectionsMaxIdleMs: -1,
        compressionType: 'none',
        metadataRecoveryStrategy: 'none',
        partitionerIgnoreKeys: false,
        allowAutoTopicCreation: false,
        keySerializer: stringSerializer,
        valueSerializer: bytesSerializer,
      },
      notes: [],
    })
  })

  test('passes all checks of the options when it is right', () => {
    const { options } = optionsFromProperties('bootstrap.servers=a:1\nacks=1\nlinger.ms=5')
    expect(resolveOptions(options)).toMatchObject({ acks: 1, lingerMs: 5, enableIdempotence: false })
  })

  test('that cannot be read says in which line', () => {
    expect(messageOf('acks=all\nclient.id=\\u12')).toBe(
      'the properties cannot be read: line 2 has a \\u without four hex digits behind it',
    )
  })
})

describe('an object', () => {
  test('takes texts as in a file, and what the option itself takes', () => {
    const partitioner = () => 0
    const interceptors = [{ onSend: <T>(record: T) => record }]
    const options = optionsOf({
      'bootstrap.servers': ['a:1', 'b:2'],
      'linger.ms': 5,
      'batch.size': '100',
      'enable.idempotence': false,
      acks: 0,
      'value.serializer': jsonSerializer,
      'partitioner.class': partitioner,
      'interceptor.classes': interceptors,
    })
    expect(options).toEqual({
      bootstrapServers: ['a:1', 'b:2'],
      lingerMs: 5,
      batchSize: 100,
      enableIdempotence: false,
      acks: 0,
      valueSerializer: jsonSerializer,
      partitioner,
      interceptors,
    })
  })

  test('passes over undefined and null', () => {
    expect(optionsOf({ 'linger.ms': undefined, acks: null })).toEqual({})
  })

  test.each([
    [5, '5'],
    [null, 'null'],
    [undefined, 'undefined'],
    [['a=b'], 'an array'],
  ])('%j is no properties', (source, shown) => {
    expect(messageOf(source)).toBe(
      `the properties are ${shown}, but must be the text of a .properties file or an object`,
    )
  })
})

describe('overrides', () => {
  test('count instead of the file, whose Java class is not even looked at', () => {
    const text = 'bootstrap.servers=a:1\nvalue.serializer=com.example.JsonSerializer\nlinger.ms=soon\nacks=1'
    expect(optionsFromProperties(text, { valueSerializer: jsonSerializer, lingerMs: 5 })).toEqual({
      options: { bootstrapServers: 'a:1', valueSerializer: jsonSerializer, lingerMs: 5, acks: 1 },
      notes: [],
    })
  })

  test('of undefined override nothing', () => {
    expect(optionsFromProperties('acks=1', { acks: undefined }).options).toEqual({ acks: 1 })
  })

  test('that are no options are left to the check of the options', () => {
    const { options } = optionsFromProperties('bootstrap.servers=a:1', { lingerMS: 5 } as object)
    expect(() => resolveOptions(options)).toThrow("unknown option 'lingerMS': kafka-wire calls it 'lingerMs'")
  })
})

describe("every property of Java's producer that has an option here", () => {
  const named = optionNames.filter((name) => optionTable[name].javaName !== null && !['tls', 'sasl'].includes(name))

  test.each(named.map((name) => [optionTable[name].javaName!, name] as const))('%s is %s', (javaName, name) => {
    // A value that nothing accepts comes back in a fault that names the property, or the property is taken.
    const message =
      name === 'bootstrapServers' || name === 'clientId' ? undefined : messageOf({ [javaName]: Symbol('odd') })
    if (message === undefined) expect(optionsOf({ [javaName]: 'x' })).toEqual({ [name]: 'x' })
    else expect(message.startsWith(`${javaName} is a symbol, `)).toBe(true)
  })
})

describe('wrong values name the property', () => {
  test.each([
    ['linger.ms=soon', "linger.ms is 'soon', but must be a whole number of milliseconds from 0 to 2,147,483,647"],
    ['linger.ms=', "linger.ms is '', but must be a whole number of milliseconds from 0 to 2,147,483,647"],
    ['linger.ms=-1', 'linger.ms is -1, but must be a whole number of milliseconds from 0 to 2,147,483,647'],
    ['linger.ms=5ms', "linger.ms is '5ms', but must be a whole number of milliseconds from 0 to 2,147,483,647"],
    ['retries=0x10', "retries is '0x10', but must be a whole number from 0 to 2,147,483,647"],
    ['enable.idempotence=yes', "enable.idempotence is 'yes', but must be true or false"],
    ['acks=2', "acks is '2', but must be 0, 1, 'all' or -1"],
    ['compression.type=brotli', "compression.type is 'brotli', but must be 'none', 'gzip', 'snappy', 'lz4' or 'zstd'"],
    ['client.dns.lookup=default', "client.dns.lookup is 'default', but kafka-wire has only use_all_dns_ips"],
    ['security.protocol=TLS', "security.protocol is 'TLS', but must be PLAINTEXT"],
  ])('%s', (text, message) => {
    expect(messageOf(text)).toBe(message)
  })

  test('all of them at once', () => {
    expect(messageOf('linger.ms=x\nfoo.bar=1\nacks=9').split('\n')).toHaveLength(4)
  })
})

describe('what cannot be honoured is an error', () => {
  test.each([
    ['security.protocol=SSL', 'security.protocol is SSL: this version of kafka-wire has no TLS yet'],
    ['security.protocol=sasl_ssl', 'security.protocol is SASL_SSL: this version of kafka-wire has no SASL yet'],
    [
      'security.protocol=SASL_PLAINTEXT',
      'security.protocol is SASL_PLAINTEXT: this version of kafka-wire has no SASL yet',
    ],
    ['transactional.id=pay-1', 'transactional.id: this version of kafka-wire has no transactions yet'],
    ['compression.type=zstd', 'compression.type: this version of kafka-wire has no compression yet'],
    [
      'transaction.two.phase.commit.enable=true',
      "transaction.two.phase.commit.enable is 'true', but kafka-wire has only false",
    ],
    ['partitioner.rack.aware=true', "partitioner.rack.aware is 'true', but kafka-wire has only false"],
    ['config.providers=file', 'config.providers: fill the values in before, there are no providers here'],
    [
      'value.serializer=io.confluent.kafka.serializers.KafkaJsonSerializer',
      "value.serializer is 'io.confluent.kafka.serializers.KafkaJsonSerializer', and a Java class cannot be loaded here: give jsonSerializer as the option 'valueSerializer'",
    ],
    [
      'key.serializer=org.apache.kafka.common.serialization.LongSerializer',
      "key.serializer is 'org.apache.kafka.common.serialization.LongSerializer', and a Java class cannot be loaded here: give a function as the option 'keySerializer'",
    ],
    [
      'partitioner.class=com.example.Mine',
      "partitioner.class is 'com.example.Mine', and a Java class cannot be loaded here: give a function as the option 'partitioner'",
    ],
    [
      'interceptor.classes=com.example.Mine',
      "interceptor.classes is 'com.example.Mine', and Java classes cannot be loaded here: give objects as the option 'interceptors'",
    ],
  ])('%s', (text, message) => {
    expect(messageOf(text)).toBe(message)
  })
})

describe('what changes nothing is a note', () => {
  test.each([
    'send.buffer.bytes=131072',
    'receive.buffer.bytes=32768',
    'metric.reporters=com.example.Reporter',
    'metrics.num.samples=2',
    'metrics.sample.window.ms=30000',
    'metrics.recording.level=INFO',
    'auto.include.jmx.reporter=true',
    'enable.metrics.push=true',
    'security.providers=com.example.Provider',
    'client.rack=a',
    'bootstrap.resolve.timeout.ms=1000',
    'metadata.cluster.check.enable=true',
    'compression.zstd.level=3',
  ])('%s', (text) => {
    const name = text.slice(0, text.indexOf('='))
    expect(optionsFromProperties(text)).toEqual({
      options: {},
      notes: [`${name} has no effect here and is passed over`],
    })
  })

  test.each(['ssl.truststore.password=hunter2', 'sasl.jaas.config=password="hunter2"', 'sasl.mechanism=PLAIN'])(
    '%s, which only an encrypted or authenticated connection needs',
    (text) => {
      const { options, notes } = optionsFromProperties(text)
      const name = text.slice(0, text.indexOf('='))
      expect(options).toEqual({})
      expect(notes).toEqual([
        `${name} is passed over: security.protocol is PLAINTEXT, the only one that this version has`,
      ])
    },
  )

  test.each([
    'transaction.two.phase.commit.enable=false',
    'partitioner.rack.aware=FALSE',
    'interceptor.classes=',
    'client.id=',
  ])('%s is what kafka-wire does anyway', (text) => {
    expect(optionsFromProperties(text)).toEqual({ options: {}, notes: [] })
  })
})

describe('classes that Kafka ships', () => {
  test.each([
    ['org.apache.kafka.common.serialization.StringSerializer', stringSerializer],
    ['org.apache.kafka.common.serialization.ByteArraySerializer', bytesSerializer],
    ['org.apache.kafka.common.serialization.BytesSerializer', bytesSerializer],
    ['org.apache.kafka.common.serialization.ByteBufferSerializer', bytesSerializer],
  ])('%s', (name, own) => {
    expect(optionsOf({ 'key.serializer': name })).toEqual({ keySerializer: own })
    expect(optionsOf({ 'value.serializer': name })).toEqual({ valueSerializer: own })
  })

  test.each([
    ['org.apache.kafka.clients.producer.RoundRobinPartitioner', { partitioner: 'roundRobin' }],
    ['org.apache.kafka.clients.producer.internals.DefaultPartitioner', { partitioner: 'java' }],
    [
      'org.apache.kafka.clients.producer.UniformStickyPartitioner',
      { partitioner: 'java', partitionerIgnoreKeys: true },
    ],
  ])('%s', (name, options) => {
    expect(optionsOf({ 'partitioner.class': name })).toEqual(options)
  })
})

describe('unknown properties', () => {
  test.each([
    ['linger.mss', ": did you mean 'linger.ms'?"],
    ['metadata.broker.list', ": Java calls it 'bootstrap.servers'"],
    ['lingerMs', ": Java calls it 'linger.ms'"],
    ['message.timeout.ms', ": Java calls it 'delivery.timeout.ms'"],
    ['overflow', ": Java has no such thing; it is the option 'overflow' of kafka-wire"],
    ['xyzzy', ''],
    ['__proto__', ": did you mean 'security.protocol'?"],
    ['constructor', ''],
  ])('%s', (name, advice) => {
    expect(messageOf(`${name}=hunter2`)).toBe(`unknown property '${name}'${advice}`)
  })
})
