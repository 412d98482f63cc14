// RequestLog: every request that reached a broker, as it was understood, and what became of it.
// From: connection.ts, which enters each request on arrival. To: faults.ts, whose rules look at it; invariants.ts; the test.
// Bound: `REQUESTS_KEPT` and `BATCH_BYTES_KEPT`; past either the older half is forgotten.
import { RECORD_COUNT_AT, RECORDS_AT } from '../../../src/protocol/record-batch.ts'
import type { ApiName, RequestOf } from './apis.ts'
import type { Topics } from './topics.ts'

/** What a Produce request carries for one partition, read from the batch's header as it stands, right or wrong. */
export interface CarriedBatch {
  /** Also at version 13, where the request names an id; `''`: the id is unknown. */
  readonly topic: string
  /** From version 13 on, in hex; `''` before. */
  readonly topicId: string
  readonly partition: number
  /** -1 without idempotence, and when there is no whole header. */
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
  readonly bytes: Buffer
}

/**
 * `waiting` for its turn or held back; `answered`; `silent`: handled, and no answer belongs to it (acks 0); `muted`: never to be
 * answered; `dropped`: its connection ended first.
 */
export type Outcome = 'waiting' | 'answered' | 'silent' | 'muted' | 'dropped'

export interface LoggedRequest<Name extends ApiName = ApiName> {
  /** Counts up over the whole cluster. */
  readonly index: number
  readonly api: Name
  readonly version: number
  readonly broker: number
  readonly connection: number
  readonly correlationId: number
  readonly clientId: string | null
  /** Milliseconds on a clock that only goes forward. */
  readonly receivedAt: number
  readonly request: RequestOf[Name]
  /** Topics that it names. */
  readonly topics: readonly string[]
  /** Of Produce; empty otherwise. */
  readonly batches: readonly CarriedBatch[]
  outcome: Outcome
}

export const REQUESTS_KEPT = 100_000
export const BATCH_BYTES_KEPT = 256 * 1024 * 1024

export class RequestLog {
  #requests: LoggedRequest[] = []
  #batchBytes = 0
  #count = 0

  /** Gives it the next index. */
  enter(request: Omit<LoggedRequest, 'index'>): LoggedRequest {
    const entered = Object.assign(request, { index: this.#count++ })
    this.#requests.push(entered)
    this.#batchBytes += batchBytes(entered)
    if (this.#requests.length > REQUESTS_KEPT || this.#batchBytes > BATCH_BYTES_KEPT) {
      this.#requests = this.#requests.slice(Math.ceil(this.#requests.length / 2))
      this.#batchBytes = this.#requests.reduce((sum, each) => sum + batchBytes(each), 0)
    }
    return entered
  }

  all(): readonly LoggedRequest[] {
    return this.#requests
  }

  of<Name extends ApiName>(api: Name, where: (request: LoggedRequest<Name>) => boolean = () => true) {
    return this.#requests.filter(
      (request): request is LoggedRequest<Name> => request.api === api && where(request as LoggedRequest<Name>),
    )
  }
}

const batchBytes = (request: LoggedRequest): number =>
  request.batches.reduce((sum, batch) => sum + batch.bytes.length, 0)

export function topicsOf(api: ApiName, request: RequestOf[ApiName], topics: Topics): string[] {
  switch (api) {
    case 'Produce':
      return (request as RequestOf['Produce']).topicData.map((each) => nameOf(each, topics))
    case 'Metadata':
      return ((request as RequestOf['Metadata']).topics ?? []).map((each) => each.name ?? nameOf(each, topics))
    case 'CreateTopics':
      return (request as RequestOf['CreateTopics']).topics.map((each) => each.name)
    default:
      return []
  }
}

export function batchesOf(request: RequestOf['Produce'], topics: Topics): CarriedBatch[] {
  return request.topicData.flatMap((topicData) => {
    const topic = nameOf(topicData, topics)
    const topicId = topicData.name === '' ? Buffer.from(topicData.topicId).toString('hex') : ''
    return topicData.partitionData.map(({ index, records }) => carriedBatch(topic, topicId, index, records))
  })
}

function nameOf(asked: { readonly name: string | null; readonly topicId: Uint8Array }, topics: Topics): string {
  return asked.name || (topics.findById(asked.topicId)?.name ?? '')
}

function carriedBatch(
  topic: string,
  topicId: string,
  partition: number,
  records: readonly Uint8Array[] | null,
): CarriedBatch {
  const bytes = Buffer.concat(records ?? [])
  const isWhole = bytes.length >= RECORDS_AT
  return {
    topic,
    topicId,
    partition,
    producerId: isWhole ? Number(bytes.readBigInt64BE(43)) : -1,
    producerEpoch: isWhole ? bytes.readInt16BE(51) : -1,
    baseSequence: isWhole ? bytes.readInt32BE(53) : -1,
    recordCount: isWhole ? bytes.readInt32BE(RECORD_COUNT_AT) : 0,
    bytes,
  }
}
