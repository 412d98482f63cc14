// Which partition a record goes to: by its key, or, without one, by a chooser that each topic has for itself.
// From: the accumulator, which asks for every record that names no partition, and reports what it appended and how long the queues are.
// To: murmur2.ts, for the hash. Nothing here allocates per record.
//
//   option             with a key                            without a key (or with partitionerIgnoreKeys)
//   'java'             murmur2 over all partitions           sticky: one partition per batchSize bytes, chosen by load (KIP-794)
//   'consistentRandom' CRC-32 over all partitions, as        random
//                      librdkafka; an empty key is no key
//   'random'           random                                random
//   'roundRobin'       in turn                               in turn
//   a function         whatever it says                      whatever it says
import crc32 from 'crc-32'
import { type KafkaError, kafkaError } from '../errors.ts'
import type { PartitionInfo, ProducerRecord, RecordBytes } from './types.ts'

export { javaKeyed } from './murmur2.ts'

export type PartitionerName = 'java' | 'random' | 'roundRobin' | 'consistentRandom'

/**
 * Called once a record, when the number of partitions is known. `keyBytes` is a copy of the serialized key, or null; `record` is what was
 * handed to `send`, or what the interceptors made of it. What it throws, and any answer that is not a partition of the topic, fails this
 * record with `PARTITIONER_FAILED`.
 */
export type PartitionerFunction<K = RecordBytes, V = RecordBytes> = (
  topic: string,
  keyBytes: Uint8Array | null,
  record: ProducerRecord<K, V>,
  partitions: readonly PartitionInfo[],
) => number

export type Partitioner<K = RecordBytes, V = RecordBytes> = PartitionerName | PartitionerFunction<K, V>

// ── With a key ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Whether the key alone decides. `keyLength` counts bytes, -1: no key. An empty key is a key for Java, none for librdkafka. */
export function keyDecides(partitioner: PartitionerName, keyLength: number, ignoreKeys: boolean): boolean {
  if (ignoreKeys) return false
  if (partitioner === 'java') return keyLength >= 0
  return partitioner === 'consistentRandom' && keyLength > 0
}

/** librdkafka's `consistent`: the unsigned CRC-32 (IEEE, as in zip files) of the key's bytes, over all partitions. */
export function consistentKeyed(keyBytes: Uint8Array, partitionCount: number): number {
  return (crc32.buf(keyBytes) >>> 0) % partitionCount
}

/**
 * Asks a user's function and checks what it says.
 * @throws KafkaError `PARTITIONER_FAILED`, with what the function threw as its cause.
 */
export function askPartitioner(
  partitioner: PartitionerFunction,
  topic: string,
  keyBytes: Uint8Array | null,
  record: unknown,
  partitions: readonly PartitionInfo[],
): number {
  let answer: unknown
  try {
    answer = partitioner(topic, keyBytes, record as ProducerRecord, partitions)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw partitionerFailed(topic, `threw: ${reason}`, { cause })
  }
  if (Number.isInteger(answer) && (answer as number) >= 0 && (answer as number) < partitions.length)
    return answer as number
  const isPromise = typeof (answer as PromiseLike<unknown> | null)?.then === 'function'
  throw partitionerFailed(topic, `answered ${isPromise ? 'a promise' : describe(answer)}`, {
    hint: `It must answer, at once, a whole number from 0 to ${partitions.length - 1}.`,
  })
}

function partitionerFailed(topic: string, what: string, details: { cause?: unknown; hint?: string }): KafkaError {
  return kafkaError('PARTITIONER_FAILED', `the partitioner, asked for a partition of topic ${topic}, ${what}`, {
    topic,
    ...details,
  })
}

function describe(answer: unknown): string {
  return typeof answer === 'number' ? String(answer) : `a value of type ${answer === null ? 'null' : typeof answer}`
}

// ── Without a key ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Chooses for the records of one topic that have no key. Knows nothing before the first `setPartitions`. */
export interface KeylessPartitioner {
  /** After each metadata update: how many partitions there are, and which of them have a leader. */
  setPartitions(partitionCount: number, hasLeader: (partition: number) => boolean): void
  /** Where the next record goes; the same answer until `onAppended` or one of the updates. -1 before the first `setPartitions`. */
  current(): number
  /**
   * A record went to `current()`.
   * @param bytes by how much it made that partition's batches larger, the header of a new batch included
   * @param isBoundary that partition has now no batch that would take another record
   */
  onAppended(bytes: number, isBoundary: boolean): void
  /** To be called before an append that finds no open batch in `current()`; it may change. */
  onBoundary(): void
  /**
   * How long the queues are, as often as the accumulator looks at all of them; null: nothing is known (not adaptive, or a partition
   * has never had a batch). The arrays stay the caller's.
   * @param queueLengths batches waiting, by place in `partitions`
   * @param partitions those that have a leader, without the ones whose broker has taken nothing for too long
   * @param count how many places of both arrays are in use
   */
  updateLoad(queueLengths: Int32Array | null, partitions: Int32Array, count: number): void
}

/**
 * The chooser of a topic.
 * @param random a number from 0 up to, not including, 1
 */
export function keylessPartitioner(
  partitioner: PartitionerName,
  batchSize: number,
  random: () => number,
): KeylessPartitioner {
  if (partitioner === 'java') return new StickyPartitioner(batchSize, random)
  if (partitioner === 'roundRobin') return new RoundRobinPartitioner()
  return new RandomPartitioner(random)
}

/** The partitions to choose from: those with a leader, or all of them when none has one. */
class Candidates {
  #partitions: readonly number[] = []
  #partitionCount = 0

  set(partitionCount: number, hasLeader: (partition: number) => boolean): void {
    const all = Array.from({ length: partitionCount }, (_, partition) => partition)
    const led = all.filter(hasLeader)
    this.#partitions = led.length > 0 ? led : all
    this.#partitionCount = partitionCount
  }

  get partitionCount(): number {
    return this.#partitionCount
  }

  includes(partition: number): boolean {
    return this.#partitions.includes(partition)
  }

  /** The partition at a place that may be any whole number from 0 on; -1 when there is none. */
  at(place: number): number {
    return this.#partitions[place % this.#partitions.length] ?? -1
  }

  pick(random: () => number): number {
    return this.at(Math.floor(random() * this.#partitions.length))
  }
}

/**
 * Java's built-in partitioner (KIP-794): stays on one partition until about `batchSize` bytes went there, so that batches fill up
 * however slowly records come, then takes another at random: by how short the queues are where that is known, so that a slow
 * broker gets less. Unlike Java's it also leaves a partition that loses its leader while others have one.
 */
export class StickyPartitioner implements KeylessPartitioner {
  readonly #batchSize: number
  readonly #random: () => number
  readonly #candidates = new Candidates()
  #current = -1
  #appendedBytes = 0
  // Load: place i stands for partition #loaded[i], and its weight is #cumulative[i] - #cumulative[i - 1]. 0 places: nothing known.
  #loaded = new Int32Array(0)
  #cumulative = new Float64Array(0)
  #loadedCount = 0

  /** @throws KafkaError `INVALID_CONFIG` for a `batchSize` below 1: it would never be sticky. */
  constructor(batchSize: number, random: () => number) {
    if (!(batchSize >= 1))
      throw kafkaError('INVALID_CONFIG', `the sticky partitioner needs a batchSize of at least 1, not ${batchSize}`)
    this.#batchSize = batchSize
    this.#random = random
  }

  setPartitions(partitionCount: number, hasLeader: (partition: number) => boolean): void {
    this.#candidates.set(partitionCount, hasLeader)
    // The weights may stand for a partition that has just lost its leader. The next updateLoad brings new ones.
    this.#loadedCount = 0
    if (!this.#candidates.includes(this.#current)) this.#next()
  }

  current(): number {
    return this.#current
  }

  onAppended(bytes: number, isBoundary: boolean): void {
    this.#appendedBytes += bytes
    // Changing in the middle of a batch would leave it to linger part-filled, so that waits for the batch's end. Not for ever: a
    // batch may take far more than it seems when it is compressed.
    if (this.#appendedBytes >= (isBoundary ? this.#batchSize : 2 * this.#batchSize)) this.#next()
  }

  onBoundary(): void {
    if (this.#appendedBytes >= this.#batchSize) this.#next()
  }

  updateLoad(queueLengths: Int32Array | null, partitions: Int32Array, count: number): void {
    this.#loadedCount = 0
    const { partitionCount } = this.#candidates
    if (queueLengths === null || count < 1 || partitionCount < 2) return
    let longest = 0
    let isUneven = false
    for (let i = 0; i < count; i++) {
      longest = Math.max(longest, queueLengths[i]!)
      isUneven ||= queueLengths[i] !== queueLengths[0]
    }
    if (!isUneven && count === partitionCount) return
    if (this.#loaded.length < count) {
      this.#loaded = new Int32Array(partitionCount)
      this.#cumulative = new Float64Array(partitionCount)
    }
    let total = 0
    for (let i = 0; i < count; i++) {
      total += longest + 1 - queueLengths[i]!
      this.#loaded[i] = partitions[i]!
      this.#cumulative[i] = total
    }
    this.#loadedCount = count
  }

  #next(): void {
    this.#appendedBytes = 0
    this.#current = this.#loadedCount > 0 ? this.#pickByLoad() : this.#candidates.pick(this.#random)
  }

  /** The first place whose cumulative weight is above a random share of the total. Once a batch: a search by halves earns nothing. */
  #pickByLoad(): number {
    const drawn = Math.floor(this.#random() * this.#cumulative[this.#loadedCount - 1]!)
    let place = 0
    while (this.#cumulative[place]! <= drawn) place++
    return this.#loaded[place]!
  }
}

/** Each record to a partition of its own choice, all alike. Batches fill slowly: librdkafka's `random`, and Kafka's before KIP-480. */
export class RandomPartitioner implements KeylessPartitioner {
  readonly #random: () => number
  readonly #candidates = new Candidates()
  #current = -1

  constructor(random: () => number) {
    this.#random = random
  }

  setPartitions(partitionCount: number, hasLeader: (partition: number) => boolean): void {
    this.#candidates.set(partitionCount, hasLeader)
    this.#current = this.#candidates.pick(this.#random)
  }

  current(): number {
    return this.#current
  }

  onAppended(): void {
    this.#current = this.#candidates.pick(this.#random)
  }

  onBoundary(): void {}

  updateLoad(): void {}
}

/** The partitions with a leader in turn, one record each, as Java's RoundRobinPartitioner. */
export class RoundRobinPartitioner implements KeylessPartitioner {
  readonly #candidates = new Candidates()
  #turn = 0

  setPartitions(partitionCount: number, hasLeader: (partition: number) => boolean): void {
    this.#candidates.set(partitionCount, hasLeader)
  }

  current(): number {
    return this.#candidates.at(this.#turn)
  }

  onAppended(): void {
    // Java's counter, an int with its sign masked off.
    this.#turn = (this.#turn + 1) & 0x7fffffff
  }

  onBoundary(): void {}

  updateLoad(): void {}
}
