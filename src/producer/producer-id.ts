// The producer id: fetched once for all partitions, before the first batch leaves, and again when a partition has used up its epochs.
// From: sender.ts, which asks when it is about to drain. To: InitProducerId, over the control connection (any broker answers it).

import Long from 'long'
import { backoffMs } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import { KafkaError, kafkaError } from '../errors.ts'
import type { Log } from '../logger.ts'
import type { BrokerPool } from '../net/broker-pool.ts'
import { LazyTimer } from '../net/timers.ts'
import { brokerError } from '../protocol/error-codes.ts'
import { initProducerId } from '../protocol/messages/init-producer-id.ts'
import type { Identity } from './sequences.ts'

export interface ProducerIdOptions {
  readonly retryBackoffMs: number
  readonly retryBackoffMaxMs: number
  readonly clock: Clock
  readonly random: () => number
}

type State =
  | { readonly kind: 'none' }
  | { readonly kind: 'fetching' }
  | { readonly kind: 'waiting' }
  | { readonly kind: 'ready'; readonly identity: Identity }
  | { readonly kind: 'closed' }

const INT32_MAX = 2_147_483_647
const QUIET_FAILURES = 5

export class ProducerId {
  #state: State = { kind: 'none' }
  #failures = 0
  /** Why there is none yet: for the message of a record that expires while waiting for it. */
  lastError: KafkaError | null = null
  readonly #timer: LazyTimer

  readonly #pool: BrokerPool
  readonly #options: ProducerIdOptions
  readonly #log: Log
  readonly #onChange: () => void
  readonly #onFatal: (error: KafkaError) => void

  /** @param onChange there is an id, or it may be asked for again: whoever needs one calls `get` */
  constructor(
    pool: BrokerPool,
    options: ProducerIdOptions,
    log: Log,
    onChange: () => void,
    onFatal: (error: KafkaError) => void,
  ) {
    this.#pool = pool
    this.#options = options
    this.#log = log
    this.#onChange = onChange
    this.#onFatal = onFatal
    // Not fetched here: nobody may need it any more.
    this.#timer = new LazyTimer(options.clock, () => {
      this.#state = { kind: 'none' }
      this.#onChange()
    })
  }

  /** The id, or null: it is being fetched, or will be, and `onChange` follows. */
  get(): Identity | null {
    if (this.#state.kind === 'ready') return this.#state.identity
    if (this.#state.kind === 'none') this.#fetch()
    return null
  }

  /** `used` has no epochs left for some partition: the next `get` fetches another. Others may go on with the old one. */
  renew(used: Identity): void {
    if (this.#state.kind === 'ready' && this.#state.identity === used) this.#state = { kind: 'none' }
  }

  close(): void {
    this.#state = { kind: 'closed' }
    this.#timer.clear()
  }

  #fetch(): void {
    this.#state = { kind: 'fetching' }
    const request = {
      transactionalId: null,
      transactionTimeoutMs: INT32_MAX,
      producerId: Long.NEG_ONE,
      producerEpoch: -1,
    }
    // The records that wait for it keep the process alive; the id alone need not.
    this.#pool.control(initProducerId, request, { keepAlive: false }).then(
      (response) => {
        if (this.#state.kind === 'closed') return
        if (response.errorCode === 0) this.#take(response.producerId, response.producerEpoch)
        else this.#refused(response.errorCode)
      },
      (error: unknown) => {
        this.#failed(
          error instanceof KafkaError ? error : kafkaError('INTERNAL', `InitProducerId: ${error}`, { cause: error }),
        )
      },
    )
  }

  #take(producerId: Long, epoch: number): void {
    this.#failures = 0
    this.lastError = null
    const identity: Identity = { producerIdHigh: producerId.high, producerIdLow: producerId.low, firstEpoch: epoch }
    this.#state = { kind: 'ready', identity }
    this.#onChange()
  }

  #refused(errorCode: number): void {
    const { name, meaning, retriable } = brokerError(errorCode)
    const isForbidden = name === 'CLUSTER_AUTHORIZATION_FAILED'
    const error = kafkaError(name, `the cluster gives us no producer id: ${meaning}`, {
      retriable,
      fatal: !retriable,
      hint: isForbidden ? 'Grant IdempotentWrite on the cluster, or set enableIdempotence to false.' : undefined,
    })
    if (retriable) this.#failed(error)
    else this.#giveUp(error)
  }

  #failed(error: KafkaError): void {
    if (this.#state.kind === 'closed') return
    // A cluster that does not know this API, or refuses us, will not change its mind by being asked again.
    if (error.code === 'UNSUPPORTED_VERSION' || error.fatal) {
      this.#giveUp(error)
      return
    }
    const { retryBackoffMs, retryBackoffMaxMs, random, clock } = this.#options
    this.lastError = error
    // A cluster that has just started answers COORDINATOR_LOAD_IN_PROGRESS for a second: no reason to alarm anybody.
    const level = this.#failures < QUIET_FAILURES ? 'debug' : 'warn'
    this.#log[level]({ code: error.code, err: error }, 'no producer id yet; trying again')
    this.#state = { kind: 'waiting' }
    this.#timer.set(clock.now() + backoffMs(this.#failures++, retryBackoffMs, retryBackoffMaxMs, random))
  }

  #giveUp(error: KafkaError): void {
    this.lastError = error
    this.#state = { kind: 'closed' }
    this.#onFatal(error)
  }
}
