// `partitionsFor`: waits until the cluster has described a topic.
// From: producer.ts. To: net/cluster.ts, which is asked for it; core.ts says when something changed.

import { type KafkaError, kafkaError } from '../errors.ts'
import type { Core } from './core.ts'
import { partitionInfos } from './topic.ts'
import type { PartitionInfo } from './types.ts'

interface TopicWait {
  readonly topic: string
  readonly since: number
  /** Fetched half-way through the wait, for the error's hint. */
  nearNames: readonly string[] | undefined
  readonly resolve: (partitions: readonly PartitionInfo[]) => void
  readonly reject: (error: KafkaError) => void
}

export class TopicWaits {
  readonly #core: Core
  // Bound: the caller's own partitionsFor() calls, each for maxBlockMs at most.
  readonly #waits = new Set<TopicWait>()

  constructor(core: Core) {
    this.#core = core
  }

  wait(topic: string): Promise<readonly PartitionInfo[]> {
    const { clock, options, cluster, deadlines, pool } = this.#core
    const infos = this.#infosOf(topic)
    if (infos !== undefined) {
      cluster.touch(topic)
      return Promise.resolve(infos)
    }
    // Somebody waits for this promise, so the process stays.
    const release = pool.hold()
    const answer = new Promise<readonly PartitionInfo[]>((resolve, reject) => {
      const wait: TopicWait = { topic, since: clock.now(), nearNames: undefined, resolve, reject }
      this.#waits.add(wait)
      cluster.track(topic)
      deadlines.expect(wait.since + options.maxBlockMs / 2)
    })
    return answer.finally(release)
  }

  /** Whether the cluster has to go on asking for the topic although no record needs it. */
  isWaitedFor(topic: string): boolean {
    for (const wait of this.#waits) if (wait.topic === topic) return true
    return false
  }

  #infosOf(name: string): readonly PartitionInfo[] | undefined {
    const metadata = this.#core.cluster.topic(name)
    if (metadata === undefined) return undefined
    const topic = this.#core.accumulator.topics.get(name)
    if (topic?.metadata === metadata) return partitionInfos(topic)
    return metadata.partitions.map(({ partition, leader, replicas, inSyncReplicas, offlineReplicas }) => ({
      topic: name,
      partition,
      leader,
      replicas,
      inSyncReplicas,
      offlineReplicas,
    }))
  }

  /** Metadata has changed for these topics. */
  look(changed: ReadonlySet<string>): void {
    for (const wait of this.#waits) {
      if (!changed.has(wait.topic)) continue
      const infos = this.#infosOf(wait.topic)
      const error = this.#core.cluster.topicError(wait.topic)
      if (infos !== undefined) {
        this.#core.metrics.metadataWaited(this.#core.clock.now() - wait.since)
        this.#end(wait, () => wait.resolve(infos))
      } else if (error !== undefined && !error.retriable) {
        const failure = kafkaError(error.name, `the cluster refuses topic ${wait.topic}: ${error.meaning}`, {
          topic: wait.topic,
        })
        this.#end(wait, () => wait.reject(failure))
      }
    }
  }

  /** Ends the waits that took too long and answers when the next one does. */
  sweep(now: number): number {
    const { options, cluster } = this.#core
    let next = Number.POSITIVE_INFINITY
    for (const wait of this.#waits) {
      const at = wait.since + options.maxBlockMs
      if (at > now) {
        next = Math.min(next, at, this.#lookForNearNames(wait, now))
        continue
      }
      const said = cluster.topicError(wait.topic)
      const cause = cluster.lastError
      const why = said?.meaning ?? cause?.message ?? 'no broker described it'
      const error = kafkaError(
        said?.name ?? 'METADATA_TIMEOUT',
        `topic ${wait.topic}: ${why} (waited ${options.maxBlockMs} ms, maxBlockMs)`,
        {
          topic: wait.topic,
          retriable: true,
          hint: hintOf(wait, said !== undefined),
          elapsedMs: Math.round(now - wait.since),
          cause,
        },
      )
      this.#end(wait, () => wait.reject(error))
      const topic = this.#core.accumulator.topics.get(wait.topic)
      if ((topic === undefined || topic.isIdle) && !this.isWaitedFor(wait.topic)) cluster.untrack(wait.topic)
    }
    return next
  }

  #lookForNearNames(wait: TopicWait, now: number): number {
    if (wait.nearNames !== undefined) return Number.POSITIVE_INFINITY
    const at = wait.since + this.#core.options.maxBlockMs / 2
    if (at > now) return at
    wait.nearNames = []
    void this.#core.cluster.suggestTopics(wait.topic).then((names) => {
      wait.nearNames = names
    })
    return Number.POSITIVE_INFINITY
  }

  rejectAll(error: KafkaError): void {
    for (const wait of this.#waits) this.#end(wait, () => wait.reject(error))
  }

  #end(wait: TopicWait, settle: () => void): void {
    this.#waits.delete(wait)
    settle()
  }
}

function hintOf({ nearNames = [] }: TopicWait, wasDescribed: boolean): string | undefined {
  if (!wasDescribed) return undefined
  return nearNames.length > 0
    ? `Did you mean ${nearNames.join(', ')}?`
    : 'Create it first, or see whether this client may describe it.'
}
