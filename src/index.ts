// The public surface of kafka-wire: named exports, and nothing else in this file.

export {
  AuthenticationError,
  BufferFullError,
  ConfigError,
  ConnectionError,
  DeliveryError,
  type ErrorDetails,
  KafkaError,
  type Persisted,
  RecordError,
  SendManyError,
  TimeoutError,
  TransactionError,
} from './errors.ts'
export { javaPartitionForKey, murmur2 } from './producer/murmur2.ts'
export { presets } from './producer/presets.ts'
export { Producer } from './producer/producer.ts'
export { bytesSerializer, jsonSerializer, stringSerializer } from './producer/serializers.ts'
export type {
  Acks,
  BrokerAddressMapper,
  BrokerMetrics,
  CloseOptions,
  CloseReport,
  Codec,
  CompressionType,
  Credential,
  DeliveryCallback,
  Dial,
  FlushReport,
  Headers,
  HeaderValue,
  Interceptor,
  Logger,
  Partitioner,
  PartitionInfo,
  Percentiles,
  ProducerHealth,
  ProducerMetrics,
  ProducerOptions,
  ProducerRecord,
  RecordBytes,
  RecordMetadata,
  SaslOptions,
  SendOptions,
  Serializer,
  TopicMetrics,
  WaitOptions,
  WritableOptions,
} from './producer/types.ts'
