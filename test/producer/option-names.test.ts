// A name that is no option: what other clients call it, what Java calls it, what comes nearest.
import { describe, expect, test } from 'vitest'
import { optionAdvice, optionNamed } from '../../src/producer/option-names.ts'
import { optionNames, optionTable } from '../../src/producer/option-table.ts'

describe('a name from elsewhere is answered with ours', () => {
  test.each([
    // kafkajs
    ['brokers', 'bootstrapServers'],
    ['idempotent', 'enableIdempotence'],
    ['maxInFlightRequests', 'maxInFlightRequestsPerConnection'],
    ['transactionTimeout', 'transactionTimeoutMs'],
    ['metadataMaxAge', 'metadataMaxAgeMs'],
    ['requestTimeout', 'requestTimeoutMs'],
    ['connectionTimeout', 'socketConnectionSetupTimeoutMs'],
    ['createPartitioner', 'partitioner'],
    ['socketFactory', 'dial'],
    ['compression', 'compressionType'],
    ['ssl', 'tls'],
    // librdkafka
    ['metadata.broker.list', 'bootstrapServers'],
    ['message.timeout.ms', 'deliveryTimeoutMs'],
    ['queue.buffering.max.ms', 'lingerMs'],
    ['queue.buffering.max.messages', 'maxPendingRecords'],
    ['message.max.bytes', 'maxRequestSize'],
    ['max.in.flight', 'maxInFlightRequestsPerConnection'],
    ['compression.codec', 'compressionType'],
    ['sasl.mechanisms', 'sasl'],
    ['topic.metadata.refresh.interval.ms', 'metadataMaxAgeMs'],
    // @platformatic/kafka
    ['bootstrapBrokers', 'bootstrapServers'],
    ['autocreateTopics', 'allowAutoTopicCreation'],
    ['maxInflights', 'maxInFlightRequestsPerConnection'],
    ['retryDelay', 'retryBackoffMs'],
    ['connectTimeout', 'socketConnectionSetupTimeoutMs'],
    // kafka-python, and other spellings
    ['bootstrap_servers', 'bootstrapServers'],
    ['linger_ms', 'lingerMs'],
    ['LINGER_MS', 'lingerMs'],
    ['lingerMS', 'lingerMs'],
  ])('%s is %s', (name, ours) => {
    expect(optionAdvice(name)).toBe(`unknown option '${name}': kafka-wire calls it '${ours}'`)
  })

  test.each(
    optionNames.flatMap((name) =>
      optionTable[name].javaName === null ? [] : [[optionTable[name].javaName, name] as const],
    ),
  )("Java's %s is %s", (javaName, name) => {
    expect(optionNamed(javaName)).toBe(name)
  })

  test('no alias means two options', () => {
    const plain = (name: string): string => name.replace(/[^A-Za-z0-9]/g, '').toLowerCase()
    const owners = new Map<string, string>()
    for (const name of optionNames) {
      const { aliases = [], javaName } = optionTable[name]
      for (const each of new Set([name, ...aliases, ...(javaName === null ? [] : [javaName])].map(plain))) {
        expect(owners.get(each), `${each} belongs to ${name}`).toBeUndefined()
        owners.set(each, name)
      }
    }
  })
})

describe('a name that nothing answers alone', () => {
  test.each([
    ['retry', "kafka-wire has 'retries', 'retryBackoffMs', 'retryBackoffMaxMs' and 'deliveryTimeoutMs'"],
    ['logLevel', "pass a 'logger' that leaves out what you do not want to see"],
    ['kafkaJS', 'options stand at the top level, in no block of their own'],
    ['security.protocol', "kafka-wire has 'tls' and 'sasl'"],
    ['ssl.ca.location', "kafka-wire has 'tls', which takes Node's own options"],
    ['sasl.password', "kafka-wire has 'sasl: { mechanism, ... }'"],
    ['group.id', 'that belongs to a consumer, and this is a producer'],
    ['statistics.interval.ms', 'call producer.metrics() whenever you want'],
  ])('%s: %s', (name, advice) => {
    expect(optionAdvice(name)).toBe(`unknown option '${name}': ${advice}`)
  })
})

describe('a slip of the finger', () => {
  test.each([
    ['ligerMs', 'lingerMs'],
    ['lingrMs', 'lingerMs'],
    ['ackss', 'acks'],
    ['batchSzie', 'batchSize'],
    ['deliveryTimoutMs', 'deliveryTimeoutMs'],
    ['maxBlock', 'maxBlockMs'],
  ])('%s: did you mean %s', (name, meant) => {
    expect(optionAdvice(name)).toContain('did you mean ')
    expect(optionAdvice(name)).toContain(`'${meant}'`)
  })

  test('what is like nothing is sent to the README', () => {
    expect(optionAdvice('xyzzyPlugh')).toBe(
      "unknown option 'xyzzyPlugh': there is nothing like it; the README lists all options",
    )
  })

  test('a very long name is cut in the text', () => {
    expect(optionAdvice('n'.repeat(10_000)).length).toBeLessThan(300)
  })

  test('names that every object inherits are unknown like any other', () => {
    expect(optionNamed('constructor')).toBeUndefined()
    expect(optionAdvice('toString')).toMatch(/^unknown option 'toString': /)
  })
})
