// ClusterView: what a broker knows of the cluster it belongs to, as far as its answers need it.
// From: fake-cluster.ts, which is one. To: broker.ts and handlers/. Types only.
import type { VersionRange } from '../../../src/protocol/api.ts'
import type { ApiName } from './apis.ts'
import type { ConnectionInfo } from './connection.ts'
import type { Faults } from './faults.ts'
import type { Invariants } from './invariants.ts'
import type { RequestLog } from './request-log.ts'
import type { Topics } from './topics.ts'

export interface ListedBroker {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export interface ClusterView {
  readonly clusterId: string
  readonly topics: Topics
  /** What Metadata lists: stopped ones too, until they are hidden. */
  readonly brokers: readonly ListedBroker[]
  readonly offered: ReadonlyMap<ApiName, VersionRange>
  /** 0: topics are not created by asking for them. */
  readonly autoCreatePartitions: number
  readonly faults: Faults
  readonly requests: RequestLog
  readonly invariants: Invariants
  nextProducerId(): number
  nextConnectionId(): number
  connected(connection: ConnectionInfo): void
  /** The client did what no client may do. */
  reportViolation(what: string): void
  /** Something happened: whoever waits looks again. */
  changed(): void
}
