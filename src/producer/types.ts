// The words of the public surface: what a user hands in (records, options) and gets back (metadata, reports).
// From: everybody in src/producer, who speaks in these types. To: the user, through src/index.ts. Types only: no code runs here.
// What each option does at its bounds stands in option-table.ts; the metrics have a file of their own, metric-types.ts.

import type { ConnectionOptions as TlsConnectionOptions } from 'node:tls'
import type { KafkaError } from '../errors.ts'
import type { Log } from '../logger.ts'
import type { Dial } from '../net/dial.ts'
import type { BrokerAddressMapper } from '../net/options.ts'
import type { Partitioner } from './partitioner.ts'

export type { Log as Logger } from '../logger.ts'
export type { Dial } from '../net/dial.ts'
export type { BrokerAddressMapper } from '../net/options.ts'
export type { BrokerMetrics, Percentiles, ProducerMetrics, TopicMetrics } from './metric-types.ts'
export type { Partitioner } from './partitioner.ts'

// ── What is sent ────────────────────────────────────────────────────────────────────────────────────────────────────

/** What keys and values are without a serializer. A string travels as UTF-8; `null` is absent, which is not empty. */
export type RecordBytes = string | Uint8Array | null

export type HeaderValue = string | Uint8Array | null

/**
 * Either `{ name: value }`, where an array of values repeats the name, or pairs `[name, value]`, which also keep the order
 * of different names (an object puts names that look like whole numbers first).
 */
export type Headers =
  | Readonly<Record<string, HeaderValue | readonly HeaderValue[]>>
  | readonly (readonly [name: string, value: HeaderValue])[]

/** One record. It is never changed, and its bytes are taken during the call it is given to. */
export interface ProducerRecord<K = RecordBytes, V = RecordBytes> {
  readonly topic: string
  /** `null` is a tombstone: it deletes the key in a compacted topic, and therefore needs a key. */
  readonly value: V | null
  readonly key?: K | null | undefined
  /** Bypasses the partitioner. A partition that does not exist fails the record with `INVALID_PARTITION`. */
  readonly partition?: number | null | undefined
  /** Epoch milliseconds or a Date; default: now. A topic with `LogAppendTime` replaces it by the broker's time. */
  readonly timestamp?: number | Date | null | undefined
  readonly headers?: Headers | null | undefined
}

/**
 * Makes the bytes of a key or value, synchronously: what must be awaited has to be encoded before `send`. Not called for null.
 * One that throws, or answers a promise, fails its own record with `SERIALIZATION_FAILED` and no other.
 */
export type Serializer<T> = (value: T, topic: string, headers: Headers | undefined) => Uint8Array | string | null

// ── What comes back ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Where a record is. */
export interface RecordMetadata {
  readonly topic: string
  readonly partition: number
  /** -1 when the broker does not say: with `acks: 0`, or for a duplicate that it had dropped already. */
  readonly offset: number
  /** Epoch milliseconds: the record's own, or the broker's in a topic with `LogAppendTime`. */
  readonly timestamp: number
  /** Bytes; -1 without a key. */
  readonly serializedKeySize: number
  /** Bytes; -1 for a tombstone. */
  readonly serializedValueSize: number
}

/**
 * Called exactly once a record, never inside `enqueue` itself: with `(null, metadata, context)` when the record was
 * acknowledged, with `(error, null, context)` when it failed. What it throws goes to the logger.
 */
export type DeliveryCallback<C = undefined> = (
  error: KafkaError | null,
  metadata: RecordMetadata | null,
  context: C,
) => void

/** How the records ended that a `flush` waited for. */
export interface FlushReport {
  readonly delivered: number
  readonly failed: number
}

/** How the records ended that were open when `close` was called. */
export interface CloseReport extends FlushReport {
  /** Still out when `timeoutMs` had passed; each of them failed with `CLOSED`. */
  readonly abandoned: number
}

/** One partition of a topic. Brokers are node ids. */
export interface PartitionInfo {
  readonly topic: string
  readonly partition: number
  /** -1: at present there is none. */
  readonly leader: number
  readonly replicas: readonly number[]
  readonly inSyncReplicas: readonly number[]
  readonly offlineReplicas: readonly number[]
}

/** For a readiness probe: cheap, plain data. */
export interface ProducerHealth {
  readonly state: 'open' | 'closing' | 'closed'
  /** Epoch milliseconds of the last acknowledged record; null: none yet. */
  readonly lastSuccessAt: number | null
  /** The last error of a connection or of the metadata; null after the next success. */
  readonly lastError: KafkaError | null
  /** The error after which this producer is of no more use; null while there is none. */
  readonly fatalError: KafkaError | null
  /** Brokers that the cluster has told of; 0 before the first metadata. */
  readonly brokersKnown: number
  /** Those of them whose last connection or attempt did not fail. */
  readonly brokersReachable: number
  /** Share of `bufferMemory` in use, 0 to 1. */
  readonly bufferUsed: number
  /** Age of the oldest record that has not settled, in milliseconds; 0: nothing is out. */
  readonly oldestUnsettledMs: number
}

// ── Arguments of the members ────────────────────────────────────────────────────────────────────────────────────────

export interface SendOptions {
  /** Ends the wait for metadata or for room. A record that is already in a batch is not called back. */
  readonly signal?: AbortSignal | undefined
}

export interface WaitOptions {
  /** Milliseconds; default: no limit of its own. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface CloseOptions {
  /** Milliseconds for what is still to be sent; default 30000. */
  readonly timeoutMs?: number | undefined
}

export interface WritableOptions {
  /** With it every chunk is a value; without it every chunk is a record. */
  readonly topic?: string | undefined
  /** Chunks, as in Node's streams. */
  readonly highWaterMark?: number | undefined
}

// ── Options ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Sees each record before it is serialized, and each outcome. One that throws is logged and passed over. */
export interface Interceptor<K = RecordBytes, V = RecordBytes> {
  /** Answers the record to send: the same, or another one made from it. */
  onSend?(record: ProducerRecord<K, V>): ProducerRecord<K, V>
  onAcknowledgement?(metadata: RecordMetadata | null, error: KafkaError | null): void
}

export type Acks = 0 | 1 | -1 | 'all'

export type CompressionType = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** A compression of the user's own. Both directions: a batch that the broker finds too large is unpacked and split. */
export interface Codec {
  compress(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
  decompress(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
}

/** A text, or a function that fetches it for each login. */
export type Credential = string | (() => string | Promise<string>)

export type SaslOptions =
  | {
      readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
      readonly username: Credential
      readonly password: Credential
    }
  | { readonly mechanism: 'OAUTHBEARER'; readonly token: () => string | Promise<string> }

/**
 * Everything that a producer can be told. Only `bootstrapServers` is required. All are checked at once by the constructor,
 * which throws a `ConfigError`. Milliseconds where the name ends in `Ms`; sizes in bytes.
 */
export interface ProducerOptions<K = RecordBytes, V = RecordBytes> {
  /** Where to start: `'host:port'`, several with commas or as an array, `'[::1]:9092'` for IPv6. Port 9092 when left out. `bootstrap.servers` */
  readonly bootstrapServers: string | readonly string[]
  /** Name in the broker's logs, quotas and metrics. Default `'kafka-wire'`. `client.id` */
  readonly clientId?: string | undefined
  /** Default: strings, bytes and null as they are. `key.serializer` */
  readonly keySerializer?: Serializer<K> | undefined
  /** Default: strings, bytes and null as they are. `value.serializer` */
  readonly valueSerializer?: Serializer<V> | undefined

  /** Who must have a record before it counts as delivered: nobody, its leader, or all in-sync replicas. Default `'all'`. `acks` */
  readonly acks?: Acks | undefined
  /**
   * Each record once in the log, in order, whatever is retried, for the life of this producer. Default true; switched off with a
   * line in the log when `acks` or `retries` were set to contradict it. `enable.idempotence`
   */
  readonly enableIdempotence?: boolean | undefined
  /** Not in this version: a `ConfigError`. `transactional.id` */
  readonly transactionalId?: string | undefined
  /** Default 60000; only with `transactionalId`. `transaction.timeout.ms` */
  readonly transactionTimeoutMs?: number | undefined
  /** Attempts after the first; `deliveryTimeoutMs` is the real bound. Default 2147483647. `retries` */
  readonly retries?: number | undefined
  /** First wait before a retry; it doubles, with a jitter of 20 %. Default 100. `retry.backoff.ms` */
  readonly retryBackoffMs?: number | undefined
  /** Longest wait before a retry. Default 1000. `retry.backoff.max.ms` */
  readonly retryBackoffMaxMs?: number | undefined
  /**
   * From `send` to settled, all waiting included; at least `lingerMs + requestTimeoutMs`. The oldest record of a batch counts, so
   * another may fail up to 10 % early. Default 120000. `delivery.timeout.ms`
   */
  readonly deliveryTimeoutMs?: number | undefined
  /** How long a broker may take to answer; past it its connection is closed. Default 30000. `request.timeout.ms` */
  readonly requestTimeoutMs?: number | undefined
  /** How long a `send` may wait for room or for its topic's metadata; nothing ever blocks the event loop. Default 60000. `max.block.ms` */
  readonly maxBlockMs?: number | undefined

  /**
   * How long a batch waits for more records. At 0 everything sent in one turn of the event loop still shares batches. Default 0.
   * `linger.ms`
   */
  readonly lingerMs?: number | undefined
  /** Uncompressed bytes of one batch; a larger record travels alone. Default 65536. `batch.size` */
  readonly batchSize?: number | undefined
  /** Bytes for all records that have not settled; at most 2147483648. Default 33554432. `buffer.memory` */
  readonly bufferMemory?: number | undefined
  /** Open promises of `send` above which `enqueue` answers false and `ready` waits; it never delays a `send`. Default 10000. */
  readonly maxPendingRecords?: number | undefined
  /** `send` calls that may wait for room; the next one fails at once with `BUFFER_FULL`. Default 1000000. */
  readonly maxWaitingSends?: number | undefined
  /** Bytes of the records in that line; past them `BUFFER_FULL`. Default 268435456. */
  readonly maxWaitingBytes?: number | undefined
  /**
   * What `enqueue` does when the buffer is full: `'reject'` fails the new record with `BUFFER_FULL`, `'drop-oldest'` gives up the
   * oldest batch that was never sent and holds no record of `send`. Default `'reject'`.
   */
  readonly overflow?: 'reject' | 'drop-oldest' | undefined
  /** Requests that may be unanswered on one connection; up to 5 keep order with idempotence. Default 5. `max.in.flight.requests.per.connection` */
  readonly maxInFlightRequestsPerConnection?: number | undefined
  /** Bytes of one record, and of all batches in one request. Default 1048576. `max.request.size` */
  readonly maxRequestSize?: number | undefined
  /** Default `'none'`; the others are not in this version: a `ConfigError`. `compression.type` */
  readonly compressionType?: CompressionType | undefined
  /** Not in this version: a `ConfigError`. `compression.gzip.level` and its like. */
  readonly compressionLevel?: number | undefined
  /** Not in this version: a `ConfigError`. */
  readonly codecs?: Readonly<Partial<Record<Exclude<CompressionType, 'none'>, Codec>>> | undefined

  /** Default `'java'`: murmur2 of the key, or the sticky choice of KIP-794 without one. `partitioner.class` */
  readonly partitioner?: Partitioner<K, V> | undefined
  /** Choose as if no record had a key. Default false. `partitioner.ignore.keys` */
  readonly partitionerIgnoreKeys?: boolean | undefined
  /** Fewer keyless records for partitions whose broker is slow. Default true. `partitioner.adaptive.partitioning.enable` */
  readonly partitionerAdaptive?: boolean | undefined
  /** Keyless records pass over partitions whose broker took nothing for this long; 0: never. Default 0. `partitioner.availability.timeout.ms` */
  readonly partitionerAvailabilityTimeoutMs?: number | undefined

  /** Metadata is asked for again at this age at the latest. Default 300000. `metadata.max.age.ms` */
  readonly metadataMaxAgeMs?: number | undefined
  /** A topic that was not sent to for this long is forgotten. Default 300000, at least 5000. `metadata.max.idle.ms` */
  readonly metadataMaxIdleMs?: number | undefined
  /** `'rebootstrap'`: start again from `bootstrapServers` when no known broker can be reached. Default `'rebootstrap'`. `metadata.recovery.strategy` */
  readonly metadataRecoveryStrategy?: 'none' | 'rebootstrap' | undefined
  /** No metadata for this long starts again from `bootstrapServers` too. Default 300000. `metadata.recovery.rebootstrap.trigger.ms` */
  readonly metadataRecoveryRebootstrapTriggerMs?: number | undefined
  /** Whether asking for an unknown topic may create it, where the brokers allow that. Default true. `allow.auto.create.topics` */
  readonly allowAutoTopicCreation?: boolean | undefined

  /** A connection unused for this long is closed; -1: never. Default 540000. `connections.max.idle.ms` */
  readonly connectionsMaxIdleMs?: number | undefined
  /** First wait before a broker is dialled again; it doubles, with a jitter of 20 %. Default 50. `reconnect.backoff.ms` */
  readonly reconnectBackoffMs?: number | undefined
  /** Longest wait before a broker is dialled again. Default 1000. `reconnect.backoff.max.ms` */
  readonly reconnectBackoffMaxMs?: number | undefined
  /** How long the first attempt to set up a connection may take; doubles with each failure. Default 10000. `socket.connection.setup.timeout.ms` */
  readonly socketConnectionSetupTimeoutMs?: number | undefined
  /** Longest time for setting up a connection. Default 30000. `socket.connection.setup.timeout.max.ms` */
  readonly socketConnectionSetupTimeoutMaxMs?: number | undefined
  /** Every address of a host is tried. `'useAllDnsIps'` is the default and the only value. `client.dns.lookup` */
  readonly clientDnsLookup?: 'useAllDnsIps' | undefined
  /** Not in this version: a `ConfigError`. `security.protocol` and `ssl.*` */
  readonly tls?: boolean | TlsConnectionOptions | undefined
  /** Not in this version: a `ConfigError`. `sasl.*` */
  readonly sasl?: SaslOptions | undefined
  /** From the address that the cluster advertises to the one that can be reached from here: tunnels and port-forwards. Default: none. */
  readonly brokerAddressMapper?: BrokerAddressMapper | undefined
  /** The one door to the network. Default: TCP. */
  readonly dial?: Dial | undefined

  /** Default: warnings and errors to `console.warn`, nothing below. Repeats are rate-limited. */
  readonly logger?: Log | undefined
  /** Called in order. Default `[]`. `interceptor.classes` */
  readonly interceptors?: readonly Interceptor<K, V>[] | undefined
}
