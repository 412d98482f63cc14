// What `producer.metrics()` answers: every metric of Java's producer under its own name in camelCase, and a few more.
// From: metrics.ts fills it. To: the user, who reads it or hands it to a monitoring system. Types only: plain numbers, no methods.
//
// Names: `…Rate` is per second; `…Rate`, `…Avg` and `…Max` look back over the present window of 30 s and the one before it; `…Total`
// counts since the producer was made. Times are in milliseconds unless the name says `Ns` (as in Java); sizes in bytes. Without a sample
// it is 0. Two things differ from Java: a retried record counts in `recordSend…` once, not once a try; and a rate in the first seconds is
// divided by the time that has really passed, not by 30 s and more.

/** Milliseconds over the last one to two windows of 30 s; less than 5 % off. */
export interface Percentiles {
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly p999: number
}

/** Java's `producer-topic-metrics`. */
export interface TopicMetrics {
  readonly recordSendRate: number
  readonly recordSendTotal: number
  readonly byteRate: number
  readonly byteTotal: number
  /** Sent bytes by bytes before compression: 1 without compression. */
  readonly compressionRate: number
  readonly recordRetryRate: number
  readonly recordRetryTotal: number
  readonly recordErrorRate: number
  readonly recordErrorTotal: number
  /** Not in Java: records acknowledged, per `acks`. */
  readonly recordDeliveredRate: number
  readonly recordDeliveredTotal: number
}

/** Java's `producer-node-metrics`. */
export interface BrokerMetrics {
  readonly requestRate: number
  readonly requestTotal: number
  readonly requestSizeAvg: number
  readonly requestSizeMax: number
  readonly outgoingByteRate: number
  readonly outgoingByteTotal: number
  readonly responseRate: number
  readonly responseTotal: number
  readonly incomingByteRate: number
  readonly incomingByteTotal: number
  readonly requestLatencyAvg: number
  readonly requestLatencyMax: number
}

/** A snapshot: plain data, free to keep, to change and to send elsewhere. */
export interface ProducerMetrics {
  // Records and batches
  readonly recordSendRate: number
  readonly recordSendTotal: number
  readonly recordRetryRate: number
  readonly recordRetryTotal: number
  readonly recordErrorRate: number
  readonly recordErrorTotal: number
  readonly recordSizeAvg: number
  readonly recordSizeMax: number
  readonly recordQueueTimeAvg: number
  readonly recordQueueTimeMax: number
  readonly recordsPerRequestAvg: number
  readonly batchSizeAvg: number
  readonly batchSizeMax: number
  readonly batchSplitRate: number
  readonly batchSplitTotal: number
  readonly compressionRateAvg: number

  // Requests
  readonly requestsInFlight: number
  readonly requestRate: number
  readonly requestTotal: number
  readonly requestSizeAvg: number
  readonly requestSizeMax: number
  readonly requestLatencyAvg: number
  readonly requestLatencyMax: number
  readonly responseRate: number
  readonly responseTotal: number
  readonly produceThrottleTimeAvg: number
  readonly produceThrottleTimeMax: number

  // Memory and waiting
  readonly bufferTotalBytes: number
  readonly bufferAvailableBytes: number
  /** `send` calls that wait for room; in Java, threads. */
  readonly waitingThreads: number
  /** Share of the time in which at least one `send` waited for room. */
  readonly bufferpoolWaitRatio: number
  readonly bufferpoolWaitTimeNsTotal: number
  /** Records that got no room within `maxBlockMs`. */
  readonly bufferExhaustedRate: number
  readonly bufferExhaustedTotal: number
  readonly flushTimeNsTotal: number
  readonly metadataWaitTimeNsTotal: number
  /** Seconds since the last accepted metadata, as in Java. */
  readonly metadataAge: number

  // Connections
  readonly connectionCount: number
  readonly connectionCreationRate: number
  readonly connectionCreationTotal: number
  readonly connectionCloseRate: number
  readonly connectionCloseTotal: number
  readonly networkIoRate: number
  readonly networkIoTotal: number
  readonly outgoingByteRate: number
  readonly outgoingByteTotal: number
  readonly incomingByteRate: number
  readonly incomingByteTotal: number

  // The I/O loop: one "select" is one pass over what is ready to send; waiting is the time between passes
  readonly selectRate: number
  readonly selectTotal: number
  readonly ioTimeNsAvg: number
  readonly ioTimeNsTotal: number
  readonly ioRatio: number
  readonly ioWaitTimeNsAvg: number
  readonly ioWaitTimeNsTotal: number
  readonly ioWaitRatio: number

  // Authentication: 0 without SASL
  readonly successfulAuthenticationRate: number
  readonly successfulAuthenticationTotal: number
  readonly successfulAuthenticationNoReauthTotal: number
  readonly failedAuthenticationRate: number
  readonly failedAuthenticationTotal: number
  readonly successfulReauthenticationRate: number
  readonly successfulReauthenticationTotal: number
  readonly failedReauthenticationRate: number
  readonly failedReauthenticationTotal: number
  readonly reauthenticationLatencyAvg: number
  readonly reauthenticationLatencyMax: number

  // Transactions: 0 without a transactionalId
  readonly txnInitTimeNsTotal: number
  readonly txnBeginTimeNsTotal: number
  readonly txnSendOffsetsTimeNsTotal: number
  readonly txnCommitTimeNsTotal: number
  readonly txnAbortTimeNsTotal: number

  // Not in Java
  /** Records acknowledged, per `acks`. */
  readonly recordDeliveredRate: number
  readonly recordDeliveredTotal: number
  /** Records given up for newer ones by `overflow: 'drop-oldest'`. Part of the errors. */
  readonly recordDroppedTotal: number
  /** Records that found the buffer or the line full. Part of the errors. */
  readonly recordRefusedTotal: number
  /** Records that have not settled. */
  readonly recordsPending: number
  /** From the first record of a batch to its acknowledgement. */
  readonly deliveryTime: Percentiles
  /** From the first record of a batch to its first request. */
  readonly queueTime: Percentiles
  /** From a request to its answer. */
  readonly requestTime: Percentiles

  /** Epoch milliseconds at which the producer was made. */
  readonly startTimeMs: number
  /** By topic: the first 1,000 of them, all others together under `'(other)'`, which cannot be a topic's name. */
  readonly topics: Readonly<Record<string, TopicMetrics>>
  /** By node id; `'bootstrap'` for addresses whose node is not known. The first 1,000, then `'(other)'`. */
  readonly brokers: Readonly<Record<string, BrokerMetrics>>
}
