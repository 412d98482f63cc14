// NetOptions: all that the network layer must know, resolved and checked already; nothing here has a default.
// From: producer/options.ts. To: everybody in src/net.
import type { Clock } from '../clock.ts'
import type { Log } from '../logger.ts'
import type { Address } from './address.ts'
import type { Dial } from './dial.ts'

/** A broker as the cluster advertises it, before `brokerAddressMapper`. */
export interface BrokerAddress extends Address {
  readonly nodeId: number
  readonly rack: string | null
}

export type BrokerAddressMapper = (host: string, port: number, nodeId: number) => { host: string; port: number }

/** Requests other than Produce, which the sender counts itself: it knows the broker and the records. */
export interface RequestWatch {
  /** @param bytes on the wire */
  controlSent(bytes: number): void
  controlAnswered(bytes: number): void
}

export interface ConnectionWatch extends RequestWatch {
  /** The handshake is over. */
  connectionOpened(): void
  /** One that was opened has ended, whoever ended it. */
  connectionClosed(): void
}

/** The meaning of each stands in the producer's option table. */
export interface NetOptions {
  readonly bootstrapServers: readonly Address[]
  readonly clientId: string
  readonly requestTimeoutMs: number
  readonly connectionsMaxIdleMs: number
  readonly reconnectBackoffMs: number
  readonly reconnectBackoffMaxMs: number
  readonly retryBackoffMs: number
  readonly retryBackoffMaxMs: number
  readonly socketConnectionSetupTimeoutMs: number
  readonly socketConnectionSetupTimeoutMaxMs: number
  readonly metadataMaxAgeMs: number
  readonly metadataMaxIdleMs: number
  readonly metadataRecoveryStrategy: 'none' | 'rebootstrap'
  readonly metadataRecoveryRebootstrapTriggerMs: number
  readonly allowAutoTopicCreation: boolean
  readonly brokerAddressMapper: BrokerAddressMapper | undefined
  readonly dial: Dial
  /** Told of every connection, for the metrics. */
  readonly watch?: ConnectionWatch | undefined
  readonly clock: Clock
  /** From 0 up to but not 1, as `Math.random`. */
  readonly random: () => number
  readonly log: Log
}
