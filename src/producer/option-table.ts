// Every option of the producer in one table: its default, what it may be, what Java and other clients call it, where it differs.
// From: options.ts checks with it, properties.ts translates with it, README.md shows it (test/tidy.test.ts compares the two).

import {
  aFunction,
  bytes,
  count,
  isFunction,
  isInterceptor,
  LARGEST_BUFFER_BYTES,
  LONGEST_MS,
  milliseconds,
  objectThat,
  oneOf,
  type Rule,
  text,
  wholeNumber,
  yesOrNo,
} from './option-rules.ts'
import type { ProducerOptions } from './types.ts'

export type OptionName = keyof ProducerOptions

export interface OptionSpec {
  /** `undefined`: there is none. */
  readonly default: unknown
  readonly rule: Rule
  /** `null`: Java's producer has no such property. */
  readonly javaName: string | null
  /** Names in other clients that are not just another spelling of ours or Java's. For suggestions only: none of them is accepted. */
  readonly aliases?: readonly string[]
  /** The README's last column: what a user who knows Java's producer has to know besides. */
  readonly differs: string
  /** The value is never shown. */
  readonly secret?: true
  /** A part of the design that is yet to come: what setting it asks for. */
  readonly notYet?: string
}

/** In the order of the README. The compiler sees to it that none is missing. */
export const optionTable: { readonly [Name in OptionName]-?: OptionSpec } = {
  bootstrapServers: {
    default: undefined,
    // net/address.ts looks at the addresses themselves.
    rule: {
      must: "'host:port', several with commas, or an array of them",
      accepts: () => true,
      read: (value) => value,
    },
    javaName: 'bootstrap.servers',
    aliases: ['brokers', 'bootstrapBrokers', 'metadata.broker.list', 'broker', 'hosts', 'servers', 'seedBrokers'],
    differs: "`'host:port'`, several with commas or as an array, `'[::1]:9092'` for IPv6; port 9092 when left out",
  },
  clientId: {
    default: 'kafka-wire',
    rule: text,
    javaName: 'client.id',
    differs: "name in the broker's logs, quotas and metrics",
  },
  keySerializer: {
    default: undefined,
    rule: aFunction('a function (key, topic, headers) => Uint8Array | string | null'),
    javaName: 'key.serializer',
    aliases: ['serializers'],
    differs: 'a function; without one strings, bytes and null go as they are',
  },
  valueSerializer: {
    default: undefined,
    rule: aFunction('a function (value, topic, headers) => Uint8Array | string | null'),
    javaName: 'value.serializer',
    aliases: ['serializer'],
    differs: 'a function; without one strings, bytes and null go as they are',
  },
  acks: {
    default: 'all',
    rule: oneOf(0, 1, 'all', -1),
    javaName: 'acks',
    aliases: ['request.required.acks', 'requiredAcks'],
    differs: "`0`, `1`, `'all'` or `-1`, which is `'all'`",
  },
  enableIdempotence: {
    default: true,
    rule: yesOrNo,
    javaName: 'enable.idempotence',
    aliases: ['idempotent', 'idempotence'],
    differs:
      'switched off, with a line in the log, when `acks` or `retries` contradict the default; an error when they contradict an explicit `true`',
  },
  transactionalId: {
    default: undefined,
    rule: text,
    javaName: 'transactional.id',
    differs: 'not in this version',
    notYet: 'transactions',
  },
  transactionTimeoutMs: {
    default: 60_000,
    rule: milliseconds(1),
    javaName: 'transaction.timeout.ms',
    aliases: ['transactionTimeout'],
    differs: 'only with `transactionalId`',
  },
  retries: {
    default: 2_147_483_647,
    rule: count(0),
    javaName: 'retries',
    aliases: ['message.send.max.retries', 'maxRetries'],
    differs: 'attempts after the first; `deliveryTimeoutMs` is the real bound',
  },
  retryBackoffMs: {
    default: 100,
    rule: milliseconds(0),
    javaName: 'retry.backoff.ms',
    aliases: ['retryDelay', 'initialRetryTime', 'retryBackoff'],
    differs: 'first wait before a retry; doubles, jitter 20 %',
  },
  retryBackoffMaxMs: {
    default: 1_000,
    rule: milliseconds(0),
    javaName: 'retry.backoff.max.ms',
    aliases: ['maxRetryTime'],
    differs: 'longest wait before a retry',
  },
  deliveryTimeoutMs: {
    default: 120_000,
    rule: milliseconds(1),
    javaName: 'delivery.timeout.ms',
    aliases: ['message.timeout.ms'],
    differs:
      'from `send` to settled, all waiting included; at least `lingerMs + requestTimeoutMs`; the oldest record of a batch counts, so another may fail up to 10 % early',
  },
  requestTimeoutMs: {
    default: 30_000,
    rule: milliseconds(1),
    javaName: 'request.timeout.ms',
    aliases: ['requestTimeout', 'socket.timeout.ms', 'timeout', 'timeoutMs'],
    differs: 'one answer of a broker; past it the connection is closed',
  },
  maxBlockMs: {
    default: 60_000,
    rule: milliseconds(0),
    javaName: 'max.block.ms',
    aliases: ['queueTimeout'],
    differs: "waiting for room or for a topic's metadata; nothing ever blocks the event loop",
  },
  lingerMs: {
    default: 0,
    rule: milliseconds(0),
    javaName: 'linger.ms',
    aliases: ['linger', 'queue.buffering.max.ms', 'batchTime', 'lingerTime'],
    differs: 'Java 4: 5. At 0 what is sent in one turn of the event loop still shares batches',
  },
  batchSize: {
    default: 65_536,
    rule: bytes(0, LARGEST_BUFFER_BYTES),
    javaName: 'batch.size',
    aliases: ['batchBytes', 'maxBatchSize'],
    differs: 'Java: 16384. Uncompressed bytes of one batch; a larger record travels alone; 0: each does',
  },
  bufferMemory: {
    default: 33_554_432,
    rule: bytes(1, LARGEST_BUFFER_BYTES),
    javaName: 'buffer.memory',
    aliases: ['queue.buffering.max.kbytes', 'maxBufferedBytes'],
    differs: 'all records that have not settled; at most 2 GiB, at least one batch',
  },
  maxPendingRecords: {
    default: 10_000,
    rule: count(1),
    javaName: null,
    aliases: ['queue.buffering.max.messages', 'maxBufferedRecords'],
    differs: 'open promises of `send` above which `enqueue` answers false and `ready()` waits; never delays a `send`',
  },
  maxWaitingSends: {
    default: 1_000_000,
    rule: count(0),
    javaName: null,
    differs: 'the line of `send` calls that found the buffer full; past it `BUFFER_FULL`',
  },
  maxWaitingBytes: {
    default: 268_435_456,
    rule: bytes(0, Number.MAX_SAFE_INTEGER),
    javaName: null,
    differs: 'bytes of the records in that line; past it `BUFFER_FULL`',
  },
  overflow: {
    default: 'reject',
    rule: oneOf('reject', 'drop-oldest'),
    javaName: null,
    differs:
      "`enqueue` with the buffer full: `'reject'` fails the new record with `BUFFER_FULL`, `'drop-oldest'` drops the oldest batch that was never sent and holds no record of `send`",
  },
  maxInFlightRequestsPerConnection: {
    default: 5,
    rule: count(1),
    javaName: 'max.in.flight.requests.per.connection',
    aliases: ['maxInFlightRequests', 'maxInflights', 'max.in.flight', 'maxInFlight'],
    differs: 'up to 5 keep order with idempotence; more need `enableIdempotence: false`',
  },
  maxRequestSize: {
    default: 1_048_576,
    rule: bytes(1, 2_147_483_647),
    javaName: 'max.request.size',
    aliases: ['message.max.bytes', 'maxMessageBytes', 'maxMessageSize'],
    differs: 'bytes of one record uncompressed, and of all batches in one request',
  },
  compressionType: {
    default: 'none',
    rule: oneOf('none', 'gzip', 'snappy', 'lz4', 'zstd'),
    javaName: 'compression.type',
    aliases: ['compression', 'compression.codec'],
    differs: "only `'none'` in this version",
    notYet: 'compression',
  },
  compressionLevel: {
    default: undefined,
    rule: wholeNumber('', -131_072, 22),
    // Java has one level a codec (compression.gzip.level): properties.ts knows them.
    javaName: null,
    aliases: ['compression.level', 'compression.gzip.level', 'compression.lz4.level', 'compression.zstd.level'],
    differs: 'not in this version',
    notYet: 'compression',
  },
  codecs: {
    default: undefined,
    rule: objectThat('an object { gzip?, snappy?, lz4?, zstd? } of { compress, decompress }', () => true),
    javaName: null,
    aliases: ['CompressionCodecs'],
    differs: 'not in this version',
    notYet: 'compression',
  },
  partitioner: {
    default: 'java',
    rule: {
      must: "'java', 'random', 'roundRobin', 'consistentRandom' or a function (topic, keyBytes, record, partitions) => partition",
      accepts: (value) =>
        isFunction(value) || ['java', 'random', 'roundRobin', 'consistentRandom'].includes(value as string),
    },
    javaName: 'partitioner.class',
    aliases: ['createPartitioner', 'partitionerClass'],
    differs:
      "`'java'`, `'random'`, `'roundRobin'`, `'consistentRandom'` (librdkafka's) or a function `(topic, keyBytes, record, partitions) => partition`",
  },
  partitionerIgnoreKeys: {
    default: false,
    rule: yesOrNo,
    javaName: 'partitioner.ignore.keys',
    differs: 'choose as if no record had a key',
  },
  partitionerAdaptive: {
    default: true,
    rule: yesOrNo,
    javaName: 'partitioner.adaptive.partitioning.enable',
    differs: "fewer keyless records for partitions whose broker is slow; only `'java'`",
  },
  partitionerAvailabilityTimeoutMs: {
    default: 0,
    rule: milliseconds(0),
    javaName: 'partitioner.availability.timeout.ms',
    differs: "keyless records pass over partitions whose broker took nothing for this long; 0: never; only `'java'`",
  },
  metadataMaxAgeMs: {
    default: 300_000,
    rule: milliseconds(0),
    javaName: 'metadata.max.age.ms',
    aliases: ['metadataMaxAge', 'topic.metadata.refresh.interval.ms'],
    differs: 'metadata is asked for again at this age at the latest',
  },
  metadataMaxIdleMs: {
    default: 300_000,
    rule: milliseconds(5_000),
    javaName: 'metadata.max.idle.ms',
    differs: 'a topic that was not sent to for this long is forgotten',
  },
  metadataRecoveryStrategy: {
    default: 'rebootstrap',
    rule: oneOf('none', 'rebootstrap'),
    javaName: 'metadata.recovery.strategy',
    differs: "`'rebootstrap'`: `bootstrapServers` again when no known broker can be reached; or `'none'`",
  },
  metadataRecoveryRebootstrapTriggerMs: {
    default: 300_000,
    rule: milliseconds(0),
    javaName: 'metadata.recovery.rebootstrap.trigger.ms',
    differs: 'no metadata for this long: `bootstrapServers` again',
  },
  allowAutoTopicCreation: {
    default: true,
    rule: yesOrNo,
    javaName: null,
    aliases: ['autocreateTopics', 'allow.auto.create.topics'],
    differs: "asking for an unknown topic may create it, where the brokers allow that; Java's producer always does",
  },
  connectionsMaxIdleMs: {
    default: 540_000,
    rule: wholeNumber('milliseconds', -1, LONGEST_MS),
    javaName: 'connections.max.idle.ms',
    differs: 'an unused connection is closed; -1: never',
  },
  reconnectBackoffMs: {
    default: 50,
    rule: milliseconds(0),
    javaName: 'reconnect.backoff.ms',
    aliases: ['reconnectBackoff'],
    differs: 'first wait before a broker is dialled again; doubles, jitter 20 %; constant when set alone, as in Java',
  },
  reconnectBackoffMaxMs: {
    default: 1_000,
    rule: milliseconds(0),
    javaName: 'reconnect.backoff.max.ms',
    differs: 'longest wait before a broker is dialled again',
  },
  socketConnectionSetupTimeoutMs: {
    default: 10_000,
    rule: milliseconds(1),
    javaName: 'socket.connection.setup.timeout.ms',
    aliases: ['connectionTimeout', 'connectTimeout', 'authenticationTimeout'],
    differs: 'from dialling to a connection that can be used; doubles with each failure',
  },
  socketConnectionSetupTimeoutMaxMs: {
    default: 30_000,
    rule: milliseconds(1),
    javaName: 'socket.connection.setup.timeout.max.ms',
    differs: 'the longest it becomes',
  },
  clientDnsLookup: {
    default: 'useAllDnsIps',
    rule: oneOf('useAllDnsIps'),
    javaName: 'client.dns.lookup',
    differs: 'every address of a host is tried; there is no other value',
  },
  tls: {
    default: undefined,
    rule: {
      must: "true, false or an object of Node's tls.connect options",
      accepts: (value) => typeof value === 'boolean' || (typeof value === 'object' && value !== null),
    },
    javaName: 'security.protocol',
    aliases: ['ssl'],
    differs: 'not in this version',
    secret: true,
    notYet: 'TLS',
  },
  sasl: {
    default: undefined,
    rule: objectThat('an object { mechanism, ... }', ({ mechanism }) => typeof mechanism === 'string'),
    javaName: 'sasl.mechanism',
    aliases: ['sasl.mechanisms'],
    differs: 'not in this version',
    secret: true,
    notYet: 'SASL',
  },
  brokerAddressMapper: {
    default: undefined,
    rule: aFunction('a function (host, port, nodeId) => ({ host, port })'),
    javaName: null,
    differs: '`(host, port, nodeId) => ({ host, port })`, for tunnels and port-forwards',
  },
  dial: {
    default: undefined,
    rule: aFunction('a function ({ host, port, signal }) => Promise<Duplex>'),
    javaName: null,
    aliases: ['socketFactory'],
    differs:
      "TCP when left out; `({ host, port, signal }) => Promise<Duplex>`. The stream may read a chunk only until that chunk's write callback",
  },
  logger: {
    default: undefined,
    rule: objectThat('an object with the functions debug, info, warn and error', (value) =>
      ['debug', 'info', 'warn', 'error'].every((level) => isFunction(value[level])),
    ),
    javaName: null,
    aliases: ['logCreator', 'logLevel', 'log'],
    differs:
      "warnings and errors to `console.warn` when left out; any `{ debug, info, warn, error }(object, message)`, pino's order",
  },
  interceptors: {
    default: [],
    rule: {
      must: 'an array of objects with the functions onSend and/or onAcknowledgement',
      accepts: (value) => Array.isArray(value) && value.every(isInterceptor),
    },
    javaName: 'interceptor.classes',
    aliases: ['beforeSerialization'],
    differs: '`{ onSend(record) => record, onAcknowledgement(metadata, error) }[]`',
  },
}

export const optionNames = Object.keys(optionTable) as readonly OptionName[]
