// Records a second into a real Kafka, for each way of handing them over: `npm run bench:throughput` (options: `-- --help`).
// Kafka comes from KAFKA_BOOTSTRAP_SERVERS, else from Maven's jars, else from Docker. What counts is what the log holds afterwards.

import { ownCases } from './support/cases.ts'
import { benchmark } from './support/main.ts'

await benchmark('npm run bench:throughput --', ownCases)
