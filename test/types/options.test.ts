// Types of the options. `npm run types` is the judge of every @ts-expect-error here, and the constructor's check has to agree with it.
import { Duplex } from 'node:stream'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import { resolveOptions } from '../../src/producer/options.ts'
import { presets } from '../../src/producer/presets.ts'
import { jsonSerializer, stringSerializer } from '../../src/producer/serializers.ts'
import type { ProducerOptions, RecordBytes } from '../../src/producer/types.ts'

const bootstrapServers = 'localhost:9092'

describe('options', () => {
  test('only bootstrapServers is needed', () => {
    const least: ProducerOptions = { bootstrapServers }
    expect(() => resolveOptions(least)).not.toThrow()
    // @ts-expect-error without it there is nowhere to start
    const less: ProducerOptions = {}
    expect(() => resolveOptions(less)).toThrow(ConfigError)
  })

  test('everything that this version has can be given at once', () => {
    const all: ProducerOptions<string, { count: number }> = {
      bootstrapServers: ['a:1', 'b:2'],
      clientId: 'billing',
      keySerializer: stringSerializer,
      valueSerializer: jsonSerializer,
      acks: 'all',
      enableIdempotence: true,
      retries: 5,
      retryBackoffMs: 1,
      retryBackoffMaxMs: 2,
      deliveryTimeoutMs: 40_000,
      requestTimeoutMs: 30_000,
      maxBlockMs: 1,
      lingerMs: 1,
      batchSize: 10_000,
      bufferMemory: 100_000,
      maxPendingRecords: 1,
      maxWaitingSends: 1,
      maxWaitingBytes: 1,
      overflow: 'drop-oldest',
      maxInFlightRequestsPerConnection: 5,
      maxRequestSize: 1_000_000,
      compressionType: 'none',
      partitioner: (topic, keyBytes, record, partitions) => {
        expectTypeOf(topic).toEqualTypeOf<string>()
        expectTypeOf(keyBytes).toEqualTypeOf<Uint8Array | null>()
        return record === null ? 0 : partitions.length - 1
      },
      partitionerIgnoreKeys: false,
      partitionerAdaptive: true,
      partitionerAvailabilityTimeoutMs: 0,
      metadataMaxAgeMs: 1,
      metadataMaxIdleMs: 5_000,
      metadataRecoveryStrategy: 'rebootstrap',
      metadataRecoveryRebootstrapTriggerMs: 1,
      allowAutoTopicCreation: true,
      connectionsMaxIdleMs: -1,
      reconnectBackoffMs: 1,
      reconnectBackoffMaxMs: 2,
      socketConnectionSetupTimeoutMs: 1,
      socketConnectionSetupTimeoutMaxMs: 2,
      clientDnsLookup: 'useAllDnsIps',
      tls: false,
      brokerAddressMapper: (host, port, nodeId) => ({ host: `${host}-${nodeId}`, port }),
      dial: async ({ host, port, signal }) => Duplex.from(`${host}:${port} ${signal.aborted}`),
      logger: console,
      interceptors: [{ onSend: (record) => ({ ...record, key: record.key ?? 'none' }), onAcknowledgement() {} }],
    }
    expect(resolveOptions(all).notes).toEqual([])
  })

  test('every option may be undefined, as from an environment that is not set', () => {
    const timeout: number | undefined = undefined
    const { KAFKA_WIRE_NOT_SET } = process.env
    const options: ProducerOptions = { bootstrapServers, requestTimeoutMs: timeout, clientId: KAFKA_WIRE_NOT_SET }
    expect(resolveOptions(options).requestTimeoutMs).toBe(30_000)
  })

  test('what the compiler refuses the constructor refuses', () => {
    const wrong: readonly ProducerOptions[] = [
      // @ts-expect-error
      { bootstrapServers, acks: 2 },
      // @ts-expect-error
      { bootstrapServers, acks: '1' },
      // @ts-expect-error
      { bootstrapServers, lingerMs: '5' },
      // @ts-expect-error
      { bootstrapServers, overflow: 'block' },
      // @ts-expect-error
      { bootstrapServers, partitioner: 'murmur2' },
      // @ts-expect-error
      { bootstrapServers, compressionType: 'brotli' },
      // @ts-expect-error
      { bootstrapServers, clientDnsLookup: 'use_all_dns_ips' },
      // @ts-expect-error
      { bootstrapServers, logger: { info() {} } },
      // @ts-expect-error
      { brokers: bootstrapServers },
      // @ts-expect-error
      { bootstrapServers, idempotent: true },
      // @ts-expect-error
      { bootstrapServers, sasl: { mechanism: 'GSSAPI' } },
      // @ts-expect-error
      { bootstrapServers, sasl: { mechanism: 'PLAIN', username: 'app' } },
    ]
    for (const options of wrong) expect(() => resolveOptions(options)).toThrow(ConfigError)
  })

  test('serializers decide what an interceptor sees', () => {
    const options: ProducerOptions<string, { count: number }> = {
      bootstrapServers,
      interceptors: [
        {
          onSend(record) {
            expectTypeOf(record.value).toEqualTypeOf<{ count: number } | null>()
            expectTypeOf(record.key).toEqualTypeOf<string | null | undefined>()
            return record
          },
        },
      ],
    }
    expect(resolveOptions(options).interceptors).toHaveLength(1)
    expectTypeOf<ProducerOptions>().toEqualTypeOf<ProducerOptions<RecordBytes, RecordBytes>>()
  })

  test('presets are options to spread, before or behind others', () => {
    const payments: ProducerOptions = { ...presets.neverLose, bootstrapServers, lingerMs: 1 }
    const clicks: ProducerOptions<string, { page: string }> = {
      bootstrapServers,
      ...presets.neverBlock,
      valueSerializer: jsonSerializer,
    }
    expect(resolveOptions(payments).lingerMs).toBe(1)
    expect(resolveOptions(clicks).overflow).toBe('drop-oldest')
    expectTypeOf(presets.neverLose.acks).toEqualTypeOf<'all'>()
  })
})
