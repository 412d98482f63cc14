// Invariants: what an idempotent producer never does on the wire, whatever goes wrong, watched over in every test that uses the cluster.
//   1. A batch that may be in the log is repeated byte for byte: same id, epoch and sequence mean the same bytes.
//   2. At most five batches of a partition are in flight: the broker remembers no more.
//   3. One batch of a partition is in flight until the leader has accepted the id and epoch, since a leader that knows nothing of them
//      takes any first sequence. A topic that was made again is another one.
//   4. Nothing goes to a new leader while something is in flight to the old one.
//   5. No sequence is left out: a batch that is out of order follows one that this cluster was at least shown.
// From: broker.ts, which tells of each request. To: the cluster's list of violations.

import { brokerError } from '../../../src/protocol/error-codes.ts'
import type { ProduceResponse } from '../../../src/protocol/messages/produce.ts'
import { BATCHES_REMEMBERED } from './producer-state.ts'
import type { CarriedBatch, LoggedRequest } from './request-log.ts'

export class Invariants {
  readonly #report: (what: string) => void
  // By partition: what the client can still be waiting for.
  readonly #inFlight = new Map<string, LoggedRequest[]>()
  // By partition: leader, id and epoch that were accepted together.
  readonly #accepted = new Map<string, Set<string>>()
  // Bytes whose fate the client does not know, by partition, id, epoch and sequence.
  readonly #uncertain = new Map<string, Buffer>()
  readonly #answers = new Map<LoggedRequest, ProduceResponse>()
  // By partition: first sequences that came with the newest id and epoch.
  readonly #shown = new Map<string, { identity: string; sequences: Set<number> }>()

  constructor(report: (what: string) => void) {
    this.#report = report
  }

  received(request: LoggedRequest): void {
    for (const batch of request.batches) {
      if (batch.producerId === -1) continue
      const name = nameOf(batch)
      const flying = this.#inFlight.get(name) ?? []
      this.#inFlight.set(name, [...flying, request])
      this.#checkBytes(request, batch)
      this.#show(batch)
      if (flying.length === 0) continue
      const wasAccepted = this.#accepted.get(name)?.has(acceptanceOf(request, batch)) ?? false
      this.#checkLater(request, batch, flying, wasAccepted)
    }
  }

  /** The log itself, not a fault, refused a batch because `expected` comes next. */
  outOfOrder(request: LoggedRequest, batch: CarriedBatch, expected: number): void {
    const shown = this.#shown.get(nameOf(batch))
    if (shown?.identity !== identityOf(batch) || shown.sequences.has(expected)) return
    this.#report(`${describe(request, batch)}: sequence ${expected} is next, and never came`)
  }

  answered(request: LoggedRequest<'Produce'>, response: ProduceResponse): void {
    this.#answers.set(request, response)
  }

  /** It left the broker's hands: answered, or never to be. */
  done(request: LoggedRequest): void {
    if (request.outcome !== 'muted') this.#land(request)
    const response = this.#answers.get(request)
    this.#answers.delete(request)
    if (response === undefined || request.outcome !== 'answered') return
    for (const batch of request.batches) {
      const topic = response.responses.find((each) => each.name === batch.topic)
      const result = topic?.partitionResponses.find((each) => each.index === batch.partition)
      if (result === undefined) continue
      if (result.errorCode === 0) this.#accept(request, batch)
      if (result.errorCode === 0 || !brokerError(result.errorCode).retriable) this.#uncertain.delete(keyOf(batch))
    }
  }

  /** What was in flight on a connection that ended is in flight no more. */
  closed(connection: number): void {
    for (const [name, flying] of this.#inFlight) {
      this.#inFlight.set(
        name,
        flying.filter((request) => request.connection !== connection),
      )
    }
  }

  #land(request: LoggedRequest): void {
    for (const batch of request.batches) {
      const name = nameOf(batch)
      const flying = this.#inFlight.get(name)
      if (flying !== undefined)
        this.#inFlight.set(
          name,
          flying.filter((each) => each !== request),
        )
    }
  }

  #accept(request: LoggedRequest, batch: CarriedBatch): void {
    const name = nameOf(batch)
    const accepted = this.#accepted.get(name) ?? new Set()
    this.#accepted.set(name, accepted.add(acceptanceOf(request, batch)))
  }

  #show(batch: CarriedBatch): void {
    const identity = identityOf(batch)
    const shown = this.#shown.get(nameOf(batch))
    if (shown?.identity === identity) shown.sequences.add(batch.baseSequence)
    else this.#shown.set(nameOf(batch), { identity, sequences: new Set([batch.baseSequence]) })
  }

  #checkBytes(request: LoggedRequest, batch: CarriedBatch): void {
    const key = keyOf(batch)
    const earlier = this.#uncertain.get(key)
    this.#uncertain.set(key, batch.bytes)
    if (earlier === undefined || earlier.equals(batch.bytes)) return
    this.#report(`${describe(request, batch)}: other bytes than before under the same sequence`)
  }

  // The client may have closed a connection before it sent this, and the news of that may come a moment later.
  #checkLater(
    request: LoggedRequest,
    batch: CarriedBatch,
    flying: readonly LoggedRequest[],
    wasAccepted: boolean,
  ): void {
    setImmediate(() => {
      setImmediate(() => {
        const still = flying.filter((each) => this.#inFlight.get(nameOf(batch))?.includes(each))
        if (still.length === 0) return
        const what = describe(request, batch)
        if (still.length >= BATCHES_REMEMBERED) this.#report(`${what}: ${still.length} batches were in flight already`)
        if (still.some((each) => each.broker !== request.broker)) {
          this.#report(`${what}: sent to broker ${request.broker} while in flight to ${still[0]!.broker}`)
        } else if (!wasAccepted) this.#report(`${what}: a second batch before the leader accepted id and epoch`)
      })
    })
  }
}

const nameOf = (batch: CarriedBatch): string => `${batch.topic}-${batch.partition}`

const keyOf = (batch: CarriedBatch): string =>
  `${nameOf(batch)}/${batch.producerId}/${batch.producerEpoch}/${batch.baseSequence}`

const identityOf = (batch: CarriedBatch): string => `${batch.producerId}/${batch.producerEpoch}`

const acceptanceOf = (request: LoggedRequest, batch: CarriedBatch): string =>
  `${request.broker}/${batch.topicId}/${batch.producerId}/${batch.producerEpoch}`

const describe = (request: LoggedRequest, batch: CarriedBatch): string =>
  `request ${request.index}, ${nameOf(batch)}, producer ${batch.producerId} epoch ${batch.producerEpoch} sequence ${batch.baseSequence}`
