// Tests that run once for each Kafka release, on a cluster started once a release. To: test/integration.

import { afterAll, beforeAll, describe, type RunnerTestSuite } from 'vitest'
import { type Availability, kafkaAvailability } from './availability.ts'
import type { KafkaCluster } from './cluster.ts'
import { type KafkaOptions, startKafka } from './start-kafka.ts'
import type { KafkaVersion } from './versions.ts'

/** What the body of `describeEachKafka` is given while tests are collected; the cluster is there once they run. */
export interface KafkaUnderTest {
  /** Undefined for an external cluster. */
  readonly version: KafkaVersion | undefined
  /** False for an external cluster: `test.skipIf(!kafka.controlsNodes)`. */
  readonly controlsNodes: boolean
  /** Throws outside of tests and their hooks. */
  readonly cluster: KafkaCluster
}

/**
 * `describe` for each release: starts a cluster before the first test, ends it after the last one and prints a line with the counts.
 * With KAFKA_BOOTSTRAP_SERVERS the body runs once, against that cluster. Where no Kafka can be had, one line says why and the tests
 * are skipped.
 */
export function describeEachKafka(
  versions: readonly KafkaVersion[],
  body: (kafka: KafkaUnderTest) => void,
  options: Omit<KafkaOptions, 'version'> = {},
): void {
  for (const version of versions) {
    const available = kafkaAvailability([version])
    if (available.kind === 'external') {
      describeOne(`Kafka at ${available.bootstrapServers}`, undefined, available, body, options)
      return
    }
    const brokers = options.brokers === 3 ? ', three brokers' : ''
    describeOne(`Kafka ${version}${brokers}`, version, available, body, options)
  }
}

function describeOne(
  name: string,
  version: KafkaVersion | undefined,
  available: Availability,
  body: (kafka: KafkaUnderTest) => void,
  options: Omit<KafkaOptions, 'version'>,
): void {
  if (available.kind === 'none') console.log(`${name}: skipped, ${available.reason}`)
  describe.skipIf(available.kind === 'none')(name, () => {
    let cluster: KafkaCluster | undefined
    beforeAll(async () => {
      cluster = await startKafka({ ...options, ...(version === undefined ? {} : { version }) })
    })
    // Hooks of the body run before this one, which was registered first: vitest calls afterAll hooks in reverse order.
    // biome-ignore lint/correctness/noEmptyPattern: vitest parses this parameter and takes nothing but a pattern.
    afterAll(async ({}, suite) => {
      await cluster?.stopAll()
      console.log(`${name}: ${countsOf(suite)}`)
    })
    body({
      version,
      controlsNodes: available.kind !== 'external',
      get cluster() {
        if (cluster === undefined) throw new Error(`${name} is not started: use it in tests and hooks only`)
        return cluster
      },
    })
  })
}

function countsOf(suite: Readonly<Pick<RunnerTestSuite, 'tasks'>>): string {
  const counts = { pass: 0, fail: 0, skip: 0 }
  const count = (tasks: RunnerTestSuite['tasks']): void => {
    for (const task of tasks) {
      if (task.type === 'suite') count(task.tasks)
      else if (task.result?.state === 'pass' || task.result?.state === 'fail') counts[task.result.state]++
      else counts.skip++
    }
  }
  count(suite.tasks)
  return `${counts.pass} passed, ${counts.fail} failed, ${counts.skip} skipped`
}
