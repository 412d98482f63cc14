// What a user imports: every name, from the sources here and as types for the compiler.
import { readFileSync } from 'node:fs'
import { describe, expect, expectTypeOf, test } from 'vitest'
import type {
  CloseOptions,
  CloseReport,
  DeliveryCallback,
  FlushReport,
  Headers,
  Interceptor,
  Logger,
  Partitioner,
  PartitionInfo,
  ProducerHealth,
  ProducerMetrics,
  ProducerOptions,
  ProducerRecord,
  RecordMetadata,
  SendOptions,
  Serializer,
  WaitOptions,
  WritableOptions,
} from '../src/index.ts'
import * as kafkaWire from '../src/index.ts'

describe('the public surface', () => {
  test('has these values and no others', () => {
    expect(Object.keys(kafkaWire).sort()).toEqual([
      'AuthenticationError',
      'BufferFullError',
      'ConfigError',
      'ConnectionError',
      'DeliveryError',
      'KafkaError',
      'Producer',
      'RecordError',
      'SendManyError',
      'TimeoutError',
      'TransactionError',
      'bytesSerializer',
      'javaPartitionForKey',
      'jsonSerializer',
      'murmur2',
      'presets',
      'stringSerializer',
    ])
  })

  test('has no default export, and nothing that is undefined', () => {
    expect('default' in kafkaWire).toBe(false)
    for (const [name, value] of Object.entries(kafkaWire)) expect(value, name).toBeDefined()
  })

  test('names every type that a member takes or answers with', () => {
    type Members = kafkaWire.Producer
    expectTypeOf<Parameters<Members['send']>>().toEqualTypeOf<
      [record: ProducerRecord, options?: SendOptions | undefined]
    >()
    expectTypeOf<ReturnType<Members['send']>>().resolves.toEqualTypeOf<RecordMetadata>()
    expectTypeOf<ReturnType<Members['sendMany']>>().resolves.toEqualTypeOf<RecordMetadata[]>()
    expectTypeOf<Parameters<Members['flush']>>().toEqualTypeOf<[options?: WaitOptions | undefined]>()
    expectTypeOf<ReturnType<Members['flush']>>().resolves.toEqualTypeOf<FlushReport>()
    expectTypeOf<Parameters<Members['close']>>().toEqualTypeOf<[options?: CloseOptions | undefined]>()
    expectTypeOf<ReturnType<Members['close']>>().resolves.toEqualTypeOf<CloseReport>()
    expectTypeOf<Parameters<Members['writable']>>().toEqualTypeOf<[options?: WritableOptions | undefined]>()
    expectTypeOf<ReturnType<Members['partitionsFor']>>().resolves.toEqualTypeOf<PartitionInfo[]>()
    expectTypeOf<ReturnType<Members['health']>>().toEqualTypeOf<ProducerHealth>()
    expectTypeOf<ReturnType<Members['metrics']>>().toEqualTypeOf<ProducerMetrics>()
    expectTypeOf<ProducerOptions['partitioner']>().toEqualTypeOf<Partitioner | undefined>()
    expectTypeOf<ProducerOptions['logger']>().toEqualTypeOf<Logger | undefined>()
    expectTypeOf<ProducerOptions['interceptors']>().toEqualTypeOf<readonly Interceptor[] | undefined>()
    expectTypeOf<ProducerOptions<string>['keySerializer']>().toEqualTypeOf<Serializer<string> | undefined>()
    expectTypeOf<ProducerRecord['headers']>().toEqualTypeOf<Headers | null | undefined>()
    expectTypeOf<DeliveryCallback<number>>().parameters.toEqualTypeOf<
      [error: kafkaWire.KafkaError | null, metadata: RecordMetadata | null, context: number]
    >()
  })

  test('is all that the package lets anybody import', () => {
    const { exports } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      exports: Record<string, unknown>
    }
    expect(Object.keys(exports)).toEqual(['.', './package.json'])
  })

  test('makes a producer and sends nothing anywhere by being imported', async () => {
    const producer = new kafkaWire.Producer({ bootstrapServers: 'localhost:1' })
    expect(producer.health().state).toBe('open')
    expect(await producer.close()).toEqual({ delivered: 0, failed: 0, abandoned: 0 })
  })
})
