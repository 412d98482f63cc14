// Every error that a user of kafka-wire can meet. One class each for what a caller treats differently, one table that gives each of
// our own codes its class and its meaning (docs/errors.md is checked against it), and one function that makes them.
// From: everybody in src/. To: the user. Imports nothing.

/**
 * Whether the record can be in the topic's log. Only `'no'` says that sending it again cannot make a duplicate;
 * `retriable` alone says that sending again may work.
 */
export type Persisted = 'no' | 'possibly' | 'yes'

/** What is known about a failure besides its code; everything is optional. */
export interface ErrorDetails {
  readonly hint?: string | undefined
  readonly topic?: string | undefined
  readonly partition?: number | undefined
  /** `host:port`, with the node id where it is known: `"broker 2 at kafka-2:9092"`. */
  readonly broker?: string | undefined
  /** How often the record was put on the wire. */
  readonly attempts?: number | undefined
  /** Milliseconds between `send` and the failure. */
  readonly elapsedMs?: number | undefined
  readonly persisted?: Persisted | undefined
  readonly retriable?: boolean | undefined
  readonly fatal?: boolean | undefined
  readonly cause?: unknown
}

/**
 * The base of all errors here. Match on `code`: it is stable, and it is Kafka's own name where Kafka has one
 * (`NOT_ENOUGH_REPLICAS`); `instanceof` fails when two copies of the package are installed.
 */
export class KafkaError extends Error {
  override readonly name: string = 'KafkaError'
  readonly code: string
  /** Sending again may work. */
  readonly retriable: boolean
  /** The producer is of no more use: close it and make a new one. */
  readonly fatal: boolean
  readonly persisted: Persisted
  readonly topic: string | undefined
  readonly partition: number | undefined
  readonly broker: string | undefined
  readonly attempts: number | undefined
  readonly elapsedMs: number | undefined
  /** What to do about it, in a sentence. It is also part of the message. */
  readonly hint: string | undefined

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(
      // What a broker says may end in a full stop already.
      details.hint === undefined ? message : `${message.replace(/\.$/, '')}. ${details.hint}`,
      details.cause === undefined ? undefined : { cause: details.cause },
    )
    this.code = code
    this.retriable = details.retriable ?? ownCodes[code as OwnCode]?.retriable ?? false
    this.fatal = details.fatal ?? false
    this.persisted = details.persisted ?? 'no'
    this.topic = details.topic
    this.partition = details.partition
    this.broker = details.broker
    this.attempts = details.attempts
    this.elapsedMs = details.elapsedMs
    this.hint = details.hint
  }
}

/** An option, or two together, that cannot work. Thrown by the constructor, before anything is opened. */
export class ConfigError extends KafkaError {
  override readonly name = 'ConfigError'
}

/** This record is wrong, others are not: too large, not serializable, a partition that does not exist. */
export class RecordError extends KafkaError {
  override readonly name = 'RecordError'
}

/** The record was fine and could not be delivered. `persisted` says whether it can be in the log. */
export class DeliveryError extends KafkaError {
  override readonly name = 'DeliveryError'
}

/** No connection, a lost one, or a peer that does not speak Kafka's protocol. */
export class ConnectionError extends KafkaError {
  override readonly name = 'ConnectionError'
}

/** The cluster refuses who we are or what we may do. */
export class AuthenticationError extends KafkaError {
  override readonly name = 'AuthenticationError'
}

/** A transaction that must be aborted, or a producer that another one has fenced. */
export class TransactionError extends KafkaError {
  override readonly name = 'TransactionError'
}

/** A wait of the caller's ran out (`flush`, `ready`, `connect`); what was waited for goes on. */
export class TimeoutError extends KafkaError {
  override readonly name = 'TimeoutError'
}

/** No room: the buffer is full, or the line of waiting sends is. */
export class BufferFullError extends KafkaError {
  override readonly name = 'BufferFullError'
}

/** What `sendMany` rejects with when at least one record failed. */
export class SendManyError<Metadata = unknown> extends KafkaError {
  override readonly name = 'SendManyError'
  /** In input order: the metadata of each record, or its error. */
  readonly results: readonly (Metadata | KafkaError)[]
  /** The failures alone, in input order. */
  readonly errors: readonly KafkaError[]

  constructor(results: readonly (Metadata | KafkaError)[]) {
    const errors = results.filter((result): result is KafkaError => result instanceof KafkaError)
    const first = errors[0]
    super(
      'SEND_MANY_FAILED',
      `${errors.length} of ${results.length} records failed, the first with: ${first?.message}`,
      {
        cause: first,
        retriable: errors.every((error) => error.retriable),
        fatal: errors.some((error) => error.fatal),
        persisted: errors.every((error) => error.persisted === 'no') ? 'no' : 'possibly',
      },
    )
    this.results = results
    this.errors = errors
  }
}

type ErrorClass = new (code: string, message: string, details?: ErrorDetails) => KafkaError

interface CodeEntry {
  readonly class: ErrorClass
  readonly retriable: boolean
  readonly meaning: string
}

const entry = (errorClass: ErrorClass, retriable: boolean, meaning: string): CodeEntry => ({
  class: errorClass,
  retriable,
  meaning,
})

export type OwnCode =
  | 'INVALID_CONFIG'
  | 'RECORD_TOO_LARGE'
  | 'SERIALIZATION_FAILED'
  | 'PARTITIONER_FAILED'
  | 'INVALID_PARTITION'
  | 'DELIVERY_TIMEOUT'
  | 'METADATA_TIMEOUT'
  | 'DROPPED'
  | 'CLOSED'
  | 'ABORTED'
  | 'BUFFER_FULL'
  | 'BUFFER_TIMEOUT'
  | 'FLUSH_TIMEOUT'
  | 'READY_TIMEOUT'
  | 'CONNECT_TIMEOUT'
  | 'BOOTSTRAP_FAILED'
  | 'DNS_FAILED'
  | 'CONNECTION_FAILED'
  | 'CONNECTION_CLOSED'
  | 'REQUEST_TIMEOUT'
  | 'PROTOCOL_ERROR'
  | 'NOT_KAFKA'
  | 'TLS_EXPECTED'
  | 'SEND_MANY_FAILED'
  | 'INTERNAL'

/** Our own codes. Kafka's are in protocol/error-codes.ts; `kafkaCodeClasses` gives those of them a class that is not `DeliveryError`. */
export const ownCodes: Readonly<Record<OwnCode, CodeEntry>> = {
  INVALID_CONFIG: entry(
    ConfigError,
    false,
    'An option is unknown, has the wrong type or range, or contradicts another.',
  ),
  RECORD_TOO_LARGE: entry(
    RecordError,
    false,
    'The record alone is larger than maxRequestSize, bufferMemory or the topic allows.',
  ),
  SERIALIZATION_FAILED: entry(
    RecordError,
    false,
    'A serializer threw, answered a promise, or answered something that is not bytes.',
  ),
  PARTITIONER_FAILED: entry(
    RecordError,
    false,
    'The partitioner threw or answered something that is not a partition of the topic.',
  ),
  INVALID_PARTITION: entry(RecordError, false, 'The partition that the record asks for does not exist.'),
  DELIVERY_TIMEOUT: entry(DeliveryError, true, 'deliveryTimeoutMs passed before the record was acknowledged.'),
  METADATA_TIMEOUT: entry(DeliveryError, true, 'maxBlockMs passed before any broker described the topic.'),
  DROPPED: entry(DeliveryError, true, "Dropped to make room for newer records, as overflow: 'drop-oldest' asks."),
  CLOSED: entry(DeliveryError, false, 'The producer was closed before the record was acknowledged.'),
  ABORTED: entry(DeliveryError, true, "The caller's AbortSignal ended the wait."),
  BUFFER_FULL: entry(BufferFullError, true, 'No room in bufferMemory, or in the line of waiting sends.'),
  BUFFER_TIMEOUT: entry(BufferFullError, true, 'maxBlockMs passed while the record waited for room.'),
  FLUSH_TIMEOUT: entry(TimeoutError, true, 'flush ran out of its timeoutMs; the records go on.'),
  READY_TIMEOUT: entry(TimeoutError, true, 'ready ran out of its timeoutMs.'),
  CONNECT_TIMEOUT: entry(TimeoutError, true, 'connect ran out of its time.'),
  BOOTSTRAP_FAILED: entry(ConnectionError, true, 'None of the bootstrap addresses could be used.'),
  DNS_FAILED: entry(ConnectionError, true, 'A host name could not be resolved.'),
  CONNECTION_FAILED: entry(ConnectionError, true, 'A connection could not be opened.'),
  CONNECTION_CLOSED: entry(ConnectionError, true, 'The connection ended while an answer was awaited.'),
  REQUEST_TIMEOUT: entry(
    ConnectionError,
    true,
    'A broker did not answer within requestTimeoutMs; the connection was closed.',
  ),
  PROTOCOL_ERROR: entry(
    ConnectionError,
    true,
    "The broker's bytes are not an answer to what was asked; the connection was closed.",
  ),
  NOT_KAFKA: entry(ConnectionError, false, 'Something answers at this address that is not Kafka.'),
  TLS_EXPECTED: entry(ConnectionError, false, 'The listener expects TLS and tls is off.'),
  SEND_MANY_FAILED: entry(
    SendManyError as unknown as ErrorClass,
    false,
    'At least one record of sendMany failed; see results.',
  ),
  INTERNAL: entry(KafkaError, false, 'A fault in kafka-wire itself: please report it.'),
}

/** Kafka's codes whose class is not `DeliveryError`. */
export const kafkaCodeClasses: Readonly<Record<string, ErrorClass>> = {
  CORRUPT_MESSAGE: RecordError,
  MESSAGE_TOO_LARGE: RecordError,
  RECORD_LIST_TOO_LARGE: RecordError,
  INVALID_TOPIC_EXCEPTION: RecordError,
  INVALID_TIMESTAMP: RecordError,
  INVALID_RECORD: RecordError,
  TOPIC_AUTHORIZATION_FAILED: AuthenticationError,
  CLUSTER_AUTHORIZATION_FAILED: AuthenticationError,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: AuthenticationError,
  SASL_AUTHENTICATION_FAILED: AuthenticationError,
  UNSUPPORTED_SASL_MECHANISM: AuthenticationError,
  ILLEGAL_SASL_STATE: AuthenticationError,
  INVALID_TXN_STATE: TransactionError,
  TRANSACTION_ABORTABLE: TransactionError,
  PRODUCER_FENCED: TransactionError,
  NETWORK_EXCEPTION: ConnectionError,
  UNSUPPORTED_VERSION: ConnectionError,
}

/** Makes the error of a code in the class that belongs to it. `code` is one of ours or Kafka's own name. */
export function kafkaError(code: string, message: string, details?: ErrorDetails): KafkaError {
  const ErrorClass = ownCodes[code as OwnCode]?.class ?? kafkaCodeClasses[code] ?? DeliveryError
  return new ErrorClass(code, message, details)
}
