// `writable()`: a Node stream in front of the producer, whose back-pressure is the producer's.
// From: producer.ts. To: core.ts for each chunk.
//
// A chunk's callback comes when there is room for the next one, not when it is delivered: deliveries overlap. `finish` waits for all.

import { Writable } from 'node:stream'
import type { KafkaError } from '../errors.ts'
import type { SlotGroup } from './batch.ts'
import type { Core } from './core.ts'
import { asKafkaError, type Prepared } from './intake.ts'
import { SLOT_GROUP } from './slots.ts'
import type { RecordMetadata, WritableOptions } from './types.ts'

export function producerWritable(core: Core, options: WritableOptions): Writable {
  const records = new StreamRecords(core, options.topic)
  const stream = new Writable({
    objectMode: true,
    ...(options.highWaterMark === undefined ? {} : { highWaterMark: options.highWaterMark }),
    write: (chunk, _encoding, done) => records.write(chunk, done),
    final: (done) => records.finish(done),
    destroy: (error, done) => {
      records.isDestroyed = true
      done(error)
    },
  })
  records.onFailure = (error) => stream.destroy(error)
  return stream
}

class StreamRecords implements SlotGroup {
  onFailure: (error: KafkaError) => void = () => {}
  isDestroyed = false
  readonly #core: Core
  readonly #topic: string | undefined
  readonly #prepared: Prepared = {
    topic: '',
    key: null,
    value: null,
    headers: null,
    timestamp: 0,
    partition: -1,
    record: null,
  }
  #outCount = 0
  #onEmpty: (() => void) | null = null

  constructor(core: Core, topic: string | undefined) {
    this.#core = core
    this.#topic = topic
  }

  write(chunk: unknown, done: (error?: Error | null) => void): void {
    const core = this.#core
    this.#outCount++
    if (core.state.kind !== 'open') {
      core.taking.turnAway(SLOT_GROUP, this, 0, core.taking.refusal())
      return
    }
    try {
      core.intake.prepare(this.#topic === undefined ? chunk : { topic: this.#topic, value: chunk }, this.#prepared)
    } catch (error) {
      core.taking.turnAway(SLOT_GROUP, this, 0, asKafkaError(error))
      return
    }
    // A full buffer puts the record into the line, as a `send`; the stream stops until there is room again.
    core.taking.take(this.#prepared, SLOT_GROUP, this, 0)
    if (core.room.isAmple) done()
    else core.room.wait({ resolve: () => done(), reject: done })
  }

  finish(done: (error?: Error | null) => void): void {
    if (this.#outCount === 0) {
      done()
      return
    }
    this.#onEmpty = done
    // Nobody writes any more: what lingers is to leave.
    this.#core.generations.flush(() => {})
    this.#core.askForTurn()
  }

  settled(_index: number, error: KafkaError | null, _metadata: RecordMetadata | null): void {
    this.#outCount--
    if (error !== null) {
      this.#onEmpty = null
      this.onFailure(error)
      return
    }
    if (this.#outCount > 0 || this.isDestroyed) return
    this.#onEmpty?.()
    this.#onEmpty = null
  }
}
