// Metrics: what has happened, counted as it happens, and the snapshot that `producer.metrics()` answers.
// From: sender, accumulator and producer, which call one method a batch, request or wait, never one a record.
// To: metric-scopes.ts keeps it, metric-snapshot.ts makes the numbers of it.

import type { Clock } from '../clock.ts'
import { type BrokerStats, newBroker, newOverall, newTopic, Scope, Scopes } from './metric-scopes.ts'
import { type Gauges, snapshotOf } from './metric-snapshot.ts'
import type { ProducerMetrics } from './metric-types.ts'

const WINDOW_MS = 30_000
// A rate over less than this says nothing.
const SHORTEST_SPAN_MS = 1_000

/** Cheap to call and impossible to fail: nothing here throws. */
export class Metrics {
  readonly #clock: Pick<Clock, 'now'>
  readonly #startedAt: number
  readonly #startTimeMs: number
  readonly #all = new Scope(0, newOverall)
  readonly #topics = new Scopes(newTopic)
  readonly #brokers = new Scopes(newBroker)
  // Since when at least one `send` has waited for room; undefined: none does.
  #lineFormedAt: number | undefined

  constructor(clock: Pick<Clock, 'now' | 'wallTimeMs'>) {
    this.#clock = clock
    this.#startedAt = clock.now()
    this.#startTimeMs = clock.wallTimeMs()
  }

  // ── Records and batches ───────────────────────────────────────────────────────────────────────────────────────────

  /**
   * A batch leaves its partition's queue for its first request.
   * @param queueTimeMs since its first record
   * @param bytes as they travel
   */
  batchDrained(
    topic: string,
    records: number,
    bytes: number,
    queueTimeMs: number,
    uncompressedBytes = bytes,
    largestRecordBytes = uncompressedBytes / records,
  ): void {
    const window = this.#window()
    const all = this.#all.at(window)
    all.recordsSent.add(records)
    all.batchSize.add(bytes)
    all.recordSize.addMany(uncompressedBytes, records, largestRecordBytes)
    all.queueTime.addMany(queueTimeMs * records, records, queueTimeMs)
    all.queueTimes.add(queueTimeMs, records)
    all.compression.add(bytes / uncompressedBytes)
    const stats = this.#topics.at(topic, window)
    stats.recordsSent.add(records)
    stats.bytes.add(bytes)
    stats.compression.add(bytes / uncompressedBytes)
  }

  /** @param deliveryMs from the first record of the batch to its acknowledgement */
  recordsDelivered(topic: string, records: number, deliveryMs: number): void {
    const window = this.#window()
    const all = this.#all.at(window)
    all.recordsDelivered.add(records)
    all.deliveryTimes.add(deliveryMs, records)
    this.#topics.at(topic, window).recordsDelivered.add(records)
  }

  /**
   * Every record that ends with an error, whatever it is: also those that were dropped, refused or out of time.
   * @param topic `''` when it is not known
   */
  recordsFailed(topic: string, records: number): void {
    const window = this.#window()
    this.#all.at(window).recordsFailed.add(records)
    if (topic !== '') this.#topics.at(topic, window).recordsFailed.add(records)
  }

  /** A batch goes back into its queue to be sent again. */
  recordsRetried(topic: string, records: number): void {
    const window = this.#window()
    this.#all.at(window).recordsRetried.add(records)
    this.#topics.at(topic, window).recordsRetried.add(records)
  }

  /** A batch that a broker found too large was cut in pieces. */
  batchSplit(): void {
    this.#all.at(this.#window()).splits.add(1)
  }

  /** By `overflow: 'drop-oldest'`; besides `recordsFailed`. */
  dropped(records: number): void {
    this.#all.at(this.#window()).dropped.add(records)
  }

  /** `BUFFER_FULL`; besides `recordsFailed`. */
  refused(records: number): void {
    this.#all.at(this.#window()).refused.add(records)
  }

  /** `BUFFER_TIMEOUT`: no room within `maxBlockMs`; besides `recordsFailed`. */
  bufferExhausted(records: number): void {
    this.#all.at(this.#window()).exhausted.add(records)
  }

  // ── Requests and connections ──────────────────────────────────────────────────────────────────────────────────────

  /** @param records in a Produce request; 0 for any other */
  requestSent(nodeId: number, bytes: number, records = 0): void {
    const window = this.#window()
    const all = this.#all.at(window)
    all.requestSize.add(bytes)
    all.requests.add(1)
    all.bytesOut.add(bytes)
    if (records > 0) all.recordsPerRequest.add(records)
    const broker = this.#broker(nodeId, window)
    broker.requestSize.add(bytes)
    broker.requests.add(1)
    broker.bytesOut.add(bytes)
  }

  /** @param throttleMs what the broker's quota asks for, 0 for nothing */
  requestAnswered(nodeId: number, latencyMs: number, throttleMs: number, bytes = 0): void {
    const window = this.#window()
    const all = this.#all.at(window)
    all.latency.add(latencyMs)
    all.requestTimes.add(latencyMs)
    all.throttle.add(throttleMs)
    all.responses.add(1)
    all.bytesIn.add(bytes)
    const broker = this.#broker(nodeId, window)
    broker.latency.add(latencyMs)
    broker.responses.add(1)
    broker.bytesIn.add(bytes)
  }

  /** A request that is not Produce: the handshake, metadata, a producer id. */
  controlSent(bytes: number): void {
    const all = this.#all.at(this.#window())
    all.requestSize.add(bytes)
    all.requests.add(1)
    all.bytesOut.add(bytes)
  }

  controlAnswered(bytes: number): void {
    const all = this.#all.at(this.#window())
    all.responses.add(1)
    all.bytesIn.add(bytes)
  }

  connectionOpened(): void {
    this.#all.at(this.#window()).connectionsOpened.add(1)
  }

  connectionClosed(): void {
    this.#all.at(this.#window()).connectionsClosed.add(1)
  }

  /** Ready and not closed yet, to whichever broker and for whatever. */
  get connectionCount(): number {
    const { connectionsOpened, connectionsClosed } = this.#all.at(this.#window())
    return connectionsOpened.total - connectionsClosed.total
  }

  /** One pass of the I/O loop over what is ready. */
  passed(tookMs: number): void {
    const all = this.#all.at(this.#window())
    all.passes.add(1)
    all.passTime.add(tookMs)
  }

  // ── Waiting ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The first `send` begins to wait for room. */
  lineFormed(): void {
    this.#lineFormedAt ??= this.#clock.now()
  }

  /** No `send` waits for room any more. */
  lineCleared(): void {
    if (this.#lineFormedAt === undefined) return
    this.#all.at(this.#window()).lineTime.add(this.#clock.now() - this.#lineFormedAt)
    this.#lineFormedAt = undefined
  }

  flushed(tookMs: number): void {
    this.#all.at(this.#window()).flushTime.add(tookMs)
  }

  /** A record, or `partitionsFor`, waited this long for its topic's metadata. */
  metadataWaited(tookMs: number): void {
    this.#all.at(this.#window()).metadataTime.add(tookMs)
  }

  // ── The snapshot ──────────────────────────────────────────────────────────────────────────────────────────────────

  snapshot(gauges: Gauges): ProducerMetrics {
    const now = this.#clock.now()
    const window = this.#window()
    const reachesBackTo = this.#startedAt + Math.max(0, window - 1) * WINDOW_MS
    const past = {
      all: this.#all.at(window),
      topics: this.#topics,
      brokers: this.#brokers,
      window,
      spanMs: Math.max(SHORTEST_SPAN_MS, now - reachesBackTo),
      ageMs: now - this.#startedAt,
      startTimeMs: this.#startTimeMs,
      waitingMs: this.#lineFormedAt === undefined ? 0 : now - this.#lineFormedAt,
    }
    return snapshotOf(past, gauges)
  }

  #window(): number {
    return Math.floor((this.#clock.now() - this.#startedAt) / WINDOW_MS)
  }

  #broker(nodeId: number, window: number): BrokerStats {
    return this.#brokers.at(nodeId < 0 ? 'bootstrap' : String(nodeId), window)
  }
}
