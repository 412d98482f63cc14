// The Kafka releases that the tests run against, and what differs between them. Read by everything else in this folder.

export type KafkaVersion = '4.4' | '4.3' | '3.9' | '2.8'

export type KafkaTool = 'consoleConsumer' | 'consoleProducer' | 'dumpLogSegments'

export interface KafkaRelease {
  readonly version: KafkaVersion
  /** The release that pom/<version>/pom.xml names. */
  readonly release: string
  /** Who keeps the cluster's metadata. 2.8 has KRaft only as a preview (no clean restart), so it gets a ZooKeeper. */
  readonly metadataKeeper: 'kraft' | 'zookeeper'
  readonly logging: 'log4j2' | 'log4j'
  /** The version whose jars hold the command-line tools: kafka-tools 4.4.0 was never published. */
  readonly toolsFrom: KafkaVersion
  readonly tools: {
    readonly consoleConsumer: string
    readonly consoleProducer: string
    readonly dumpLogSegments: string
  }
  /** The option by which the console consumer's formatter and the console producer's reader take a property. */
  readonly toolOptions: { readonly formatter: string; readonly reader: string }
  /** The official image; 3.7 was the first release that had one. */
  readonly image: string | undefined
}

const NEW_TOOLS = {
  consoleConsumer: 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  consoleProducer: 'org.apache.kafka.tools.ConsoleProducer',
  dumpLogSegments: 'org.apache.kafka.tools.DumpLogSegments',
}

const NEW_OPTIONS = { formatter: '--formatter-property', reader: '--reader-property' }
const OLD_OPTIONS = { formatter: '--property', reader: '--property' }

export const KAFKA_RELEASES: Readonly<Record<KafkaVersion, KafkaRelease>> = {
  '4.4': {
    version: '4.4',
    release: '4.4.0',
    metadataKeeper: 'kraft',
    logging: 'log4j2',
    toolsFrom: '4.3',
    tools: NEW_TOOLS,
    toolOptions: NEW_OPTIONS,
    image: 'apache/kafka:4.4.0',
  },
  '4.3': {
    version: '4.3',
    release: '4.3.1',
    metadataKeeper: 'kraft',
    logging: 'log4j2',
    toolsFrom: '4.3',
    tools: NEW_TOOLS,
    toolOptions: NEW_OPTIONS,
    image: 'apache/kafka:4.3.1',
  },
  '3.9': {
    version: '3.9',
    release: '3.9.2',
    metadataKeeper: 'kraft',
    logging: 'log4j',
    toolsFrom: '3.9',
    tools: {
      ...NEW_TOOLS,
      consoleProducer: 'kafka.tools.ConsoleProducer',
      dumpLogSegments: 'kafka.tools.DumpLogSegments',
    },
    toolOptions: OLD_OPTIONS,
    image: 'apache/kafka:3.9.2',
  },
  '2.8': {
    version: '2.8',
    release: '2.8.2',
    metadataKeeper: 'zookeeper',
    logging: 'log4j',
    toolsFrom: '2.8',
    tools: {
      consoleConsumer: 'kafka.tools.ConsoleConsumer',
      consoleProducer: 'kafka.tools.ConsoleProducer',
      dumpLogSegments: 'kafka.tools.DumpLogSegments',
    },
    toolOptions: OLD_OPTIONS,
    image: undefined,
  },
}

export const KAFKA_VERSIONS: readonly KafkaVersion[] = ['4.4', '4.3', '3.9', '2.8']
