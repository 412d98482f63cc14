// What becomes of a batch after an attempt: a pure decision, from what is known of the batch and what came back. sender.ts carries it out.
// From: sender.ts. To: sender.ts. No clock, no I/O, no state; every row has a test in test/producer/outcome.test.ts.
//
// Two questions are kept apart: may the batch go again (retriable), and may *this attempt* have put it into the log (unclear).

import type { KafkaError } from '../errors.ts'
import { type BrokerError, brokerError } from '../protocol/error-codes.ts'

/** What came back for one batch. */
export type Answer =
  | {
      readonly kind: 'answered'
      readonly errorCode: number
      readonly baseOffset: number
      readonly logAppendTimeMs: number
      readonly logStartOffset: number
      readonly errorMessage: string | null
      readonly recordErrors: readonly RecordFault[]
    }
  /** The request was answered, and says nothing of this batch. */
  | { readonly kind: 'missing' }
  /** The connection ended first. `mayBeOnTheWire` false: not a byte of the request left. */
  | { readonly kind: 'lost'; readonly mayBeOnTheWire: boolean; readonly cause?: KafkaError }

/** KIP-467: one record of the batch that the broker found fault with. */
export interface RecordFault {
  readonly batchIndex: number
  readonly batchIndexErrorMessage: string | null
}

/** What the decision needs to know of the batch. */
export interface BatchFacts {
  readonly count: number
  /** Attempts so far, this one included, those that never left excluded. */
  readonly attempts: number
  /** An earlier attempt ended without a definite answer. */
  readonly isUnclear: boolean
  /** No batch of the partition that is still out carries a lower sequence. */
  readonly isOldest: boolean
  /** A batch behind it has been accepted with the same id and epoch. */
  readonly isFollowed: boolean
  readonly isIdempotent: boolean
  /** The option: attempts after the first. */
  readonly retries: number
}

export type Outcome =
  /** `baseOffset` -1: it is in the log, and the broker does not say where. */
  | { readonly kind: 'delivered'; readonly baseOffset: number; readonly logAppendTimeMs: number }
  | {
      readonly kind: 'retry'
      readonly error: BrokerError
      /** Whether the batch may be in the log now. */
      readonly isUnclear: boolean
      /** Whether it uses up one of `retries`. */
      readonly isCounted: boolean
      readonly waits: boolean
      /** The checksum is to be made again. */
      readonly isResealed: boolean
    }
  /** A new epoch, then again. `isProof`: the broker has neither it nor anything behind it. */
  | { readonly kind: 'rebase'; readonly error: BrokerError; readonly isProof: boolean }
  /** The broker refuses its sequence, and it may be in the log all the same: the next unclear one may tell. */
  | { readonly kind: 'disown'; readonly error: BrokerError }
  /** More than one record: smaller batches in its place. */
  | { readonly kind: 'split'; readonly error: BrokerError }
  /** Single records are wrong: they fail, the others go again. */
  | { readonly kind: 'sift'; readonly error: BrokerError; readonly culprits: ReadonlyMap<number, string | null> }
  | {
      readonly kind: 'fail'
      readonly error: BrokerError
      readonly persisted: 'no' | 'possibly'
      readonly isFatal: boolean
    }

/** Errors after which the producer is of no more use, whatever is sent. 35 only when idempotent: the id cannot be used there. */
const FATAL = new Set(['CLUSTER_AUTHORIZATION_FAILED', 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'PRODUCER_FENCED'])

/** Errors that leave open whether the leader has the batch: it gave up waiting, or failed in the middle. */
const AMBIGUOUS = new Set([
  'REQUEST_TIMED_OUT',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'NETWORK_EXCEPTION',
  'KAFKA_STORAGE_ERROR',
  'UNKNOWN_SERVER_ERROR',
])

const NETWORK_EXCEPTION = brokerError(13)

export function decide(batch: BatchFacts, answer: Answer): Outcome {
  if (answer.kind === 'lost') return afterLoss(batch, answer.mayBeOnTheWire)
  if (answer.kind === 'missing') return retryOrFail(batch, NETWORK_EXCEPTION, true)
  if (answer.errorCode === 0) {
    return { kind: 'delivered', baseOffset: answer.baseOffset, logAppendTimeMs: answer.logAppendTimeMs }
  }
  const error = brokerError(answer.errorCode)
  switch (error.name) {
    // It has the batch from an earlier attempt, and has forgotten where.
    case 'DUPLICATE_SEQUENCE_NUMBER':
      return { kind: 'delivered', baseOffset: -1, logAppendTimeMs: -1 }
    case 'OUT_OF_ORDER_SEQUENCE_NUMBER':
    case 'UNKNOWN_PRODUCER_ID':
    case 'INVALID_PRODUCER_EPOCH':
      return afterSequenceError(batch, error)
    case 'MESSAGE_TOO_LARGE':
      // A batch that may be in the log keeps its number of records.
      return batch.count > 1 && !batch.isUnclear ? { kind: 'split', error } : fail(batch, error, false)
    case 'UNSUPPORTED_VERSION':
      return fail(batch, error, false, batch.isIdempotent)
  }
  if (answer.recordErrors.length > 0) return sift(batch, error, answer.recordErrors)
  if (error.retriable) return retryOrFail(batch, error, AMBIGUOUS.has(error.name))
  return fail(batch, error, AMBIGUOUS.has(error.name), FATAL.has(error.name))
}

function afterLoss(batch: BatchFacts, mayBeOnTheWire: boolean): Outcome {
  if (mayBeOnTheWire) return retryOrFail(batch, NETWORK_EXCEPTION, true)
  return {
    kind: 'retry',
    error: NETWORK_EXCEPTION,
    isUnclear: batch.isUnclear,
    isCounted: false,
    waits: true,
    isResealed: false,
  }
}

function afterSequenceError(batch: BatchFacts, error: BrokerError): Outcome {
  if (!batch.isIdempotent) return fail(batch, error, false)
  if (error.name === 'OUT_OF_ORDER_SEQUENCE_NUMBER') {
    // A leader remembers five batches, and after a restart only the last one: what is in the log may be refused as if it had never come.
    // That cannot be if nothing was accepted behind it: then the broker has neither it nor any later.
    if (batch.isUnclear && batch.isFollowed) return { kind: 'delivered', baseOffset: -1, logAppendTimeMs: -1 }
    if (batch.isOldest) return batch.isUnclear ? { kind: 'disown', error } : { kind: 'rebase', error, isProof: true }
    // Behind a batch that is still to arrive this is no news.
    return { kind: 'retry', error, isUnclear: batch.isUnclear, isCounted: false, waits: false, isResealed: false }
  }
  // The broker has lost (59) or outgrown (47) our state, so it cannot tell any more whether an unclear batch is in the log.
  if (batch.isUnclear) return fail(batch, error, true)
  return { kind: 'rebase', error, isProof: false }
}

function sift(batch: BatchFacts, error: BrokerError, faults: readonly RecordFault[]): Outcome {
  const culprits = new Map<number, string | null>()
  for (const { batchIndex, batchIndexErrorMessage } of faults) {
    if (batchIndex >= 0 && batchIndex < batch.count) culprits.set(batchIndex, batchIndexErrorMessage)
  }
  // An unclear batch is never recut. With nobody named there is nothing to save.
  if (batch.isUnclear || culprits.size === 0) return fail(batch, error, false)
  return { kind: 'sift', error, culprits }
}

function retryOrFail(batch: BatchFacts, error: BrokerError, isAmbiguous: boolean): Outcome {
  if (batch.attempts > batch.retries) return fail(batch, error, isAmbiguous)
  return {
    kind: 'retry',
    error,
    isUnclear: batch.isUnclear || isAmbiguous,
    isCounted: true,
    waits: true,
    isResealed: error.name === 'CORRUPT_MESSAGE',
  }
}

function fail(batch: BatchFacts, error: BrokerError, isAmbiguous: boolean, isFatal = false): Outcome {
  return { kind: 'fail', error, persisted: batch.isUnclear || isAmbiguous ? 'possibly' : 'no', isFatal }
}
