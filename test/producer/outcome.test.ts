import { describe, expect, test } from 'vitest'
import { type Answer, type BatchFacts, decide, type Outcome } from '../../src/producer/outcome.ts'
import { brokerErrors } from '../../src/protocol/error-codes.ts'

type Row =
  | 'retry'
  | 'retry, unclear'
  | 'retry, resealed'
  | 'fail'
  | 'fail, unclear'
  | 'fatal'
  | 'sequences'
  | 'stored'
  | 'too large'
  | 'version'

// Final, and never an answer to Produce.
const OF_OTHER_REQUESTS = [
  1, 4, 8, 11, 12, 22, 23, 24, 25, 26, 27, 28, 30, 33, 34, 36, 37, 38, 39, 40, 50, 52, 55, 57, 58, 60, 61, 62, 63, 64,
  65, 66, 67, 68, 69, 73, 77, 79, 81, 82, 85, 86, 91, 92, 93, 94, 95, 96, 97, 98, 99, 101, 102, 104, 105, 107, 108, 109,
  110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 121, 124, 125, 126, 127, 128, 130, 131, 132, 134, 135, 136,
]

// What becomes of a batch, by the error code of its partition. Written from Kafka's own table (its Java producer) and, where that differs,
// from what we set out to do; each difference has its reason.
//
//   retry          goes again, after a back-off, and counts: the broker has not stored it
//   retry, unclear the same, and it may have been stored by this attempt
//   retry, resealed as retry, with its checksum made anew: it did not arrive as it was sent
//   fail           settles with this error; another attempt would end alike
//   fail, unclear  the same, and it may have been stored by this attempt
//   fatal          settles with this error, and nothing else will be delivered either
//   sequences      see below: idempotence alone decides
//   stored         it is in the log, from an earlier attempt
//   too large      halves, or if that is impossible fails
//   version        fails; fatal with idempotence
const TABLE: Readonly<Record<Row, readonly number[]>> = {
  retry: [
    3, // UNKNOWN_TOPIC_OR_PARTITION: until the delivery timeout; a topic that was just made is unknown to some brokers
    5, // LEADER_NOT_AVAILABLE
    6, // NOT_LEADER_OR_FOLLOWER
    9, // REPLICA_NOT_AVAILABLE
    14, // COORDINATOR_LOAD_IN_PROGRESS: this one and the next two only by way of transactions
    15, // COORDINATOR_NOT_AVAILABLE
    16, // NOT_COORDINATOR
    19, // NOT_ENOUGH_REPLICAS: looked at before the append
    41, // NOT_CONTROLLER: never an answer to Produce, like all below that are not explained
    51, // CONCURRENT_TRANSACTIONS
    70, // FETCH_SESSION_ID_NOT_FOUND
    71, // INVALID_FETCH_SESSION_EPOCH
    72, // LISTENER_NOT_FOUND
    74, // FENCED_LEADER_EPOCH: like 6
    75, // UNKNOWN_LEADER_EPOCH
    78, // OFFSET_NOT_AVAILABLE
    80, // PREFERRED_LEADER_NOT_AVAILABLE
    83, // ELIGIBLE_LEADERS_NOT_AVAILABLE
    84, // ELECTION_NOT_NEEDED
    88, // UNSTABLE_OFFSET_COMMIT
    89, // THROTTLING_QUOTA_EXCEEDED
    100, // UNKNOWN_TOPIC_ID: Produce 13 with an id that has changed
    103, // INCONSISTENT_TOPIC_ID
    106, // FETCH_SESSION_TOPIC_ID_ERROR
    122, // SHARE_SESSION_NOT_FOUND
    123, // INVALID_SHARE_SESSION_EPOCH
    133, // SHARE_SESSION_LIMIT_REACHED
  ],
  'retry, unclear': [
    7, // REQUEST_TIMED_OUT: appended by the leader, the replicas did not follow in time
    13, // NETWORK_EXCEPTION: between brokers; after the append for all we know
    20, // NOT_ENOUGH_REPLICAS_AFTER_APPEND: its name says it
    56, // KAFKA_STORAGE_ERROR: in the middle of an append. Java takes it for not stored; a disk that fails says nothing so clear
  ],
  'retry, resealed': [
    2, // CORRUPT_MESSAGE: bounded by the delivery timeout, as in Java; franz-go fails it
  ],
  fail: [
    ...OF_OTHER_REQUESTS,
    17, // INVALID_TOPIC_EXCEPTION
    18, // RECORD_LIST_TOO_LARGE: larger than a segment; not split, since the topic is misconfigured
    21, // INVALID_REQUIRED_ACKS
    29, // TOPIC_AUTHORIZATION_FAILED: other topics may be written to
    32, // INVALID_TIMESTAMP
    42, // INVALID_REQUEST
    43, // UNSUPPORTED_FOR_MESSAGE_FORMAT: not fatal from Produce
    44, // POLICY_VIOLATION
    48, // INVALID_TXN_STATE
    49, // INVALID_PRODUCER_ID_MAPPING: of a transactional id, which this producer has none of
    54, // SECURITY_DISABLED
    76, // UNSUPPORTED_COMPRESSION_TYPE
    87, // INVALID_RECORD; naming no record
    120, // TRANSACTION_ABORTABLE
    129, // REBOOTSTRAP_REQUIRED: of metadata, never of Produce
  ],
  'fail, unclear': [
    -1, // UNKNOWN_SERVER_ERROR: Java takes every final error for "not stored"; a broker that does not know what failed cannot say that
  ],
  fatal: [
    31, // CLUSTER_AUTHORIZATION_FAILED
    53, // TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    90, // PRODUCER_FENCED
  ],
  sequences: [
    45, // OUT_OF_ORDER_SEQUENCE_NUMBER
    47, // INVALID_PRODUCER_EPOCH
    59, // UNKNOWN_PRODUCER_ID
  ],
  stored: [
    46, // DUPLICATE_SEQUENCE_NUMBER
  ],
  'too large': [
    10, // MESSAGE_TOO_LARGE
  ],
  version: [
    35, // UNSUPPORTED_VERSION
  ],
}

const rowOf = (code: number): Row => (Object.keys(TABLE) as Row[]).find((row) => TABLE[row].includes(code))!

const errorCodes = brokerErrors.map(({ code }) => code).filter((code) => code !== 0)

const facts = (changes: Partial<BatchFacts> = {}): BatchFacts => ({
  count: 3,
  attempts: 1,
  isUnclear: false,
  isOldest: true,
  isFollowed: false,
  isIdempotent: true,
  retries: 2_147_483_647,
  ...changes,
})

const answered = (errorCode: number, more: Partial<Extract<Answer, { kind: 'answered' }>> = {}): Answer => ({
  kind: 'answered',
  errorCode,
  baseOffset: -1,
  logAppendTimeMs: -1,
  logStartOffset: -1,
  errorMessage: null,
  recordErrors: [],
  ...more,
})

/** The outcome as one line. */
function told(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'delivered':
      return `delivered at ${outcome.baseOffset}`
    case 'retry': {
      const marks = [
        outcome.isUnclear ? 'unclear' : 'absent',
        outcome.isCounted ? 'counted' : 'free',
        outcome.waits ? 'waits' : 'at once',
        ...(outcome.isResealed ? ['resealed'] : []),
      ]
      return `retry: ${marks.join(', ')}`
    }
    case 'fail':
      return `fail: persisted ${outcome.persisted}${outcome.isFatal ? ', fatal' : ''}`
    case 'rebase':
      return outcome.isProof ? 'rebase, proof' : 'rebase'
    case 'sift':
      return `sift: ${[...outcome.culprits.keys()].join(' ')}`
    default:
      return outcome.kind
  }
}

/** The cases of every row, each with what must become of it. */
function expected(row: Row, batch: BatchFacts, code: number) {
  const { isUnclear, isIdempotent, isOldest, isFollowed, attempts, retries, count } = batch
  const persisted = (isAmbiguous: boolean): string => `persisted ${isUnclear || isAmbiguous ? 'possibly' : 'no'}`
  const retry = (isAmbiguous: boolean, mark = ''): string =>
    attempts > retries
      ? `fail: ${persisted(isAmbiguous)}`
      : `retry: ${isUnclear || isAmbiguous ? 'unclear' : 'absent'}, counted, waits${mark}`
  switch (row) {
    case 'retry':
      return retry(false)
    case 'retry, unclear':
      return retry(true)
    case 'retry, resealed':
      return retry(false, ', resealed')
    case 'fail':
      return `fail: ${persisted(false)}`
    case 'fail, unclear':
      return `fail: ${persisted(true)}`
    case 'fatal':
      return `fail: ${persisted(false)}, fatal`
    case 'version':
      return `fail: ${persisted(false)}${isIdempotent ? ', fatal' : ''}`
    case 'stored':
      return 'delivered at -1'
    case 'too large':
      return count > 1 && !isUnclear ? 'split' : `fail: ${persisted(false)}`
    case 'sequences':
      if (!isIdempotent) return `fail: ${persisted(false)}`
      // For the oldest batch 45 proves that the broker has neither it nor any later, unless the broker may have forgotten it; 47 and 59
      // prove nothing about the log.
      if (code === 45 && isUnclear && isFollowed) return 'delivered at -1'
      if (code === 45 && isOldest) return isUnclear ? 'disown' : 'rebase, proof'
      if (code === 45) return `retry: ${isUnclear ? 'unclear' : 'absent'}, free, at once`
      return isUnclear ? 'fail: persisted possibly' : 'rebase'
  }
}

describe('the table of broker errors', () => {
  test('has every code of Kafka once', () => {
    const inTable = Object.values(TABLE).flat()
    expect([...inTable].sort((a, b) => a - b)).toEqual(errorCodes)
  })

  const yesNo = [true, false]
  const attempts = [
    { attempts: 1, retries: 0 },
    { attempts: 1, retries: 1 },
    { attempts: 2, retries: 1 },
    { attempts: 5, retries: 2_147_483_647 },
  ]
  const cases = yesNo.flatMap((isIdempotent) =>
    yesNo.flatMap((isUnclear) =>
      yesNo.flatMap((isOldest) =>
        yesNo.flatMap((isFollowed) =>
          [1, 3].flatMap((count) =>
            attempts.map((each) => facts({ isIdempotent, isUnclear, isOldest, isFollowed, count, ...each })),
          ),
        ),
      ),
    ),
  )

  test.each(brokerErrors.filter(({ code }) => code !== 0))(
    'decides $name ($code) in every state of the batch',
    ({ code }) => {
      const row = rowOf(code)
      for (const batch of cases) {
        const wanted = expected(row, batch, code)
        expect(told(decide(batch, answered(code))), JSON.stringify(batch)).toBe(wanted)
      }
    },
  )

  test.each([137, 999, -2, 32_767])('takes code %i, which is unknown, for UNKNOWN_SERVER_ERROR', (code) => {
    const outcome = decide(facts(), answered(code))
    expect(told(outcome)).toBe('fail: persisted possibly')
    expect(outcome).toMatchObject({ error: { name: 'UNKNOWN_SERVER_ERROR' } })
    expect((outcome as { error: { meaning: string } }).error.meaning).toContain(String(code))
  })

  test('keeps the name of what the broker said in every outcome that is not a success', () => {
    for (const { code, name } of brokerErrors) {
      const outcome = decide(facts(), answered(code))
      if (outcome.kind !== 'delivered') expect(outcome.error.name).toBe(name)
    }
  })
})

describe('a success', () => {
  test('has the offset and the append time of the answer', () => {
    expect(decide(facts(), answered(0, { baseOffset: 42, logAppendTimeMs: 1_700_000_000_000 }))).toEqual({
      kind: 'delivered',
      baseOffset: 42,
      logAppendTimeMs: 1_700_000_000_000,
    })
  })

  test('is one whatever came before', () => {
    expect(told(decide(facts({ isUnclear: true, attempts: 9, retries: 1 }), answered(0, { baseOffset: 1 })))).toBe(
      'delivered at 1',
    )
  })

  test('of a duplicate has no offset: the broker has forgotten it', () => {
    expect(decide(facts(), answered(46, { baseOffset: 7, logAppendTimeMs: 8 }))).toEqual({
      kind: 'delivered',
      baseOffset: -1,
      logAppendTimeMs: -1,
    })
  })
})

describe('no answer', () => {
  const lost = (mayBeOnTheWire: boolean): Answer => ({ kind: 'lost', mayBeOnTheWire })

  test('a lost request makes its batches unclear, and counts', () => {
    expect(told(decide(facts(), lost(true)))).toBe('retry: unclear, counted, waits')
  })

  test('a request of which not a byte left costs nothing and leaves everything as it was', () => {
    expect(told(decide(facts(), lost(false)))).toBe('retry: absent, free, waits')
    expect(told(decide(facts({ isUnclear: true }), lost(false)))).toBe('retry: unclear, free, waits')
    expect(told(decide(facts({ attempts: 0, retries: 0 }), lost(false)))).toBe('retry: absent, free, waits')
    expect(told(decide(facts({ attempts: 7, retries: 1 }), lost(false)))).toBe('retry: absent, free, waits')
  })

  test('past the last retry a lost request fails its batches as possibly stored', () => {
    expect(told(decide(facts({ attempts: 1, retries: 0 }), lost(true)))).toBe('fail: persisted possibly')
    expect(told(decide(facts({ attempts: 3, retries: 3 }), lost(true)))).toBe('retry: unclear, counted, waits')
    expect(told(decide(facts({ attempts: 4, retries: 3 }), lost(true)))).toBe('fail: persisted possibly')
  })

  test('an answer that leaves a batch out says nothing about it: it goes again, unclear', () => {
    expect(told(decide(facts(), { kind: 'missing' }))).toBe('retry: unclear, counted, waits')
    expect(told(decide(facts({ attempts: 2, retries: 1 }), { kind: 'missing' }))).toBe('fail: persisted possibly')
  })

  test('both ask for new metadata', () => {
    for (const answer of [lost(true), lost(false), { kind: 'missing' } as const]) {
      expect(decide(facts(), answer)).toMatchObject({ error: { name: 'NETWORK_EXCEPTION', refreshMetadata: true } })
    }
  })
})

describe('errors of single records (KIP-467)', () => {
  const fault = (batchIndex: number, batchIndexErrorMessage: string | null = null) => ({
    batchIndex,
    batchIndexErrorMessage,
  })

  test('fail those records, with what was said of each, and no others', () => {
    const answer = answered(87, { recordErrors: [fault(0, 'no key'), fault(2)] })
    expect(decide(facts(), answer)).toMatchObject({
      kind: 'sift',
      error: { name: 'INVALID_RECORD' },
      culprits: new Map([
        [0, 'no key'],
        [2, null],
      ]),
    })
  })

  test('may name every record', () => {
    expect(told(decide(facts(), answered(32, { recordErrors: [fault(2), fault(0), fault(1)] })))).toBe('sift: 2 0 1')
  })

  test('never recut a batch that may be in the log', () => {
    const answer = answered(87, { recordErrors: [fault(1)] })
    expect(told(decide(facts({ isUnclear: true }), answer))).toBe('fail: persisted possibly')
  })

  test('naming records that are not there fail the whole batch', () => {
    for (const index of [-1, 3, 2_147_483_647]) {
      expect(told(decide(facts(), answered(87, { recordErrors: [fault(index)] })))).toBe('fail: persisted no')
    }
    expect(told(decide(facts(), answered(87, { recordErrors: [fault(-1), fault(1)] })))).toBe('sift: 1')
  })

  test('count once when they name a record twice', () => {
    expect(told(decide(facts(), answered(87, { recordErrors: [fault(1, 'a'), fault(1, 'b')] })))).toBe('sift: 1')
  })
})
