// Which partition a record goes to, as the option `partitioner` says: by its key, by the user's own function, or, for want of both, the
// one that the topic's keyless partitioner is at.
// From: accumulator.ts, with a record's fields; staging.ts, with the bytes of one that is encoded already. To: partitioner.ts.

import { murmur2, murmur2Ascii, NOT_ASCII } from './murmur2.ts'
import {
  askPartitioner,
  consistentKeyed,
  javaKeyed,
  type KeylessPartitioner,
  keyDecides,
  keylessPartitioner,
  type Partitioner,
} from './partitioner.ts'
import type { Field } from './record-encoder.ts'
import type { RecordView } from './recut.ts'
import { partitionInfos, type Topic } from './topic.ts'

export interface ChoiceOptions {
  readonly partitioner: Partitioner
  readonly partitionerIgnoreKeys: boolean
}

const NO_BYTES = Buffer.alloc(0)

export class Choice {
  /** A partitioner of the user's own looks at the user's record, so that must be kept until it was asked. */
  readonly wantsRecord: boolean
  readonly #options: ChoiceOptions

  constructor(options: ChoiceOptions) {
    this.#options = options
    this.wantsRecord = typeof options.partitioner === 'function'
  }

  /** What a topic uses for records whose key says nothing. */
  newKeyless(batchBytes: number, random: () => number): KeylessPartitioner {
    const { partitioner } = this.#options
    return keylessPartitioner(typeof partitioner === 'string' ? partitioner : 'java', batchBytes, random)
  }

  /** -1: the key says nothing. Throws `PARTITIONER_FAILED`. */
  keyed(topic: Topic, key: Field, record: unknown): number {
    const { partitioner, partitionerIgnoreKeys } = this.#options
    const count = topic.partitions.length
    if (partitioner === 'java') {
      if (key === null || partitionerIgnoreKeys) return -1
      if (typeof key !== 'string') return javaKeyed(murmur2(key), count)
      const hash = murmur2Ascii(key)
      return javaKeyed(hash === NOT_ASCII ? murmur2(Buffer.from(key, 'utf8')) : hash, count)
    }
    if (partitioner === 'random' || partitioner === 'roundRobin') return -1
    const bytes = key === null ? null : typeof key === 'string' ? Buffer.from(key, 'utf8') : key
    return this.#other(partitioner, topic, bytes, record)
  }

  /** The same for a record whose key lies encoded in `buffer`. */
  encoded(topic: Topic, buffer: Buffer, { keyStart, keyEnd }: RecordView, record: unknown): number {
    const { partitioner, partitionerIgnoreKeys } = this.#options
    if (partitioner === 'java') {
      if (keyStart < 0 || partitionerIgnoreKeys) return -1
      return javaKeyed(murmur2(buffer, keyStart, keyEnd), topic.partitions.length)
    }
    const key = keyStart < 0 ? null : keyStart === keyEnd ? NO_BYTES : buffer.subarray(keyStart, keyEnd)
    return this.#other(partitioner, topic, key, record)
  }

  #other(partitioner: Exclude<Partitioner, 'java'>, topic: Topic, key: Uint8Array | null, record: unknown): number {
    if (typeof partitioner !== 'string') {
      // A copy: what the user's function keeps must not change when the caller reuses its buffer.
      const copy = key === null ? null : Uint8Array.prototype.slice.call(key)
      return askPartitioner(partitioner, topic.name, copy, record, partitionInfos(topic))
    }
    if (key === null || !keyDecides(partitioner, key.length, this.#options.partitionerIgnoreKeys)) return -1
    return consistentKeyed(key, topic.partitions.length)
  }

  /** For a record whose key says nothing: on to another partition when the present one has no batch to go on with. */
  keyless(topic: Topic): number {
    topic.isKeylessUsed = true
    const index = topic.keyless.current()
    if (topic.partitions[index]?.open === null) {
      topic.keyless.onBoundary()
      return topic.keyless.current()
    }
    return index
  }
}
