// Records answers of Kafka's own codec in test/vectors/oracle.json, against which the unit tests check where no Java is
// (test/protocol/oracle-extract.test.ts). The seed is fixed: only other messages, or another Kafka, make another file.
//   node test/support/oracle/extract.ts
import { readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { anyBatch, type MessageKind, messageKinds } from '../arbitraries.ts'
import { toHex } from '../byte-builder.ts'
import { toKafkaJson } from './kafka-json.ts'
import { Oracle } from './oracle.ts'
import { batchQuestion, encodeQuestion } from './questions.ts'

const SEED = 4_400
const MESSAGES_A_VERSION = 3
const MESSAGE_BYTES_MAX = 250
const BATCHES = 16
const KEYS = 120

const sample = <T>(arbitrary: fc.Arbitrary<T>, numRuns: number): T[] => fc.sample(arbitrary, { numRuns, seed: SEED })

// The largest of those that are not too large: small ones have mostly empty lists.
function telling(kind: MessageKind, version: number): unknown[] {
  const bySize = sample(kind.any, 60)
    .map((message) => kind.cut(message, version))
    .map((message) => ({ message, size: kind.encode(message, version).length }))
    .filter(({ size }) => size <= MESSAGE_BYTES_MAX)
    .sort((left, right) => right.size - left.size)
  return bySize.slice(0, MESSAGES_A_VERSION).map(({ message }) => message)
}

const oracle = await Oracle.start()
const messages: string[] = []
for (const kind of messageKinds) {
  for (const version of kind.versions) {
    for (const message of telling(kind, version)) {
      const { hex } = await oracle.ask(encodeQuestion(kind, version, message))
      messages.push(toKafkaJson({ type: kind.name, version, hex, message }))
    }
  }
}
const batches: string[] = []
for (const batch of sample(anyBatch, BATCHES)) {
  const question = batchQuestion(batch)
  const { hex } = await oracle.ask(question)
  batches.push(toKafkaJson({ hex, options: batch.options, records: question.records }))
}
const keys = sample(fc.uint8Array({ maxLength: 30 }), KEYS).map(toHex)
const { hashes } = await oracle.ask({ ask: 'murmur2', keys })
const { errors } = await oracle.ask({ ask: 'errors' })
await oracle.close()

const pom = readFileSync(new URL('pom.xml', import.meta.url), 'utf8')
const kafkaClients = /<artifactId>kafka-clients<\/artifactId>\s*<version>([^<]+)/.exec(pom)?.[1]
const lines = (items: readonly string[]): string => `[\n${items.join(',\n')}\n]`
writeFileSync(
  new URL('../../vectors/oracle.json', import.meta.url),
  `{
"kafkaClients": ${JSON.stringify(kafkaClients)},
"messages": ${lines(messages)},
"batches": ${lines(batches)},
"hashes": ${lines(keys.map((key, index) => JSON.stringify({ key, hash: hashes![index] })))},
"errors": ${lines(errors!.map((error) => JSON.stringify(error)))}
}
`,
)
console.log(`${messages.length} messages, ${batches.length} batches, ${keys.length} keys, ${errors!.length} errors`)
