// The package as its users have it: copied into a folder where the packed kafka-wire is installed, and run there by each supported Node
// (scripts/check-packed.ts does both). Plain JavaScript, since Node 20 runs no TypeScript.
//
//   node smoke-packed.mjs esm | cjs | bundle FILE
//
// With KAFKA_BOOTSTRAP_SERVERS and KAFKA_TOPIC it also produces.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { basename, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const [form, file] = process.argv.slice(2)
const require = createRequire(import.meta.url)
const RECORDS = 1000

/** The package's exports, by the way under test. */
async function load() {
  switch (form) {
    case 'esm':
      return await import('kafka-wire')
    case 'cjs':
      return require('kafka-wire')
    case 'bundle': {
      const path = resolve(file)
      return path.endsWith('.cjs') ? require(path) : await import(pathToFileURL(path).href)
    }
    default:
      throw new Error(`esm, cjs or bundle FILE, not ${form}`)
  }
}

const { Producer, ConfigError, KafkaError, javaPartitionForKey, stringSerializer } = await load()

// What is thrown is of the exported classes, and says what to do.
assert.throws(() => new Producer({}), ConfigError)
assert.throws(() => new Producer({ bootstrapServers: 'localhost:9092', lingerMS: 5 }), /lingerMs/)
assert.throws(
  () => new Producer({ brokers: 'localhost:9092' }),
  (error) => error instanceof KafkaError && /bootstrapServers/.test(error.message),
)

// The keyed partition of Kafka's own clients: the hash works in this engine.
assert.equal(javaPartitionForKey('21', 1), 0)

// A producer that was made and never used needs no close for the process to end.
const idle = new Producer({ bootstrapServers: '127.0.0.1:1' })
assert.equal(typeof idle.send, 'function')

const bootstrapServers = process.env.KAFKA_BOOTSTRAP_SERVERS
const topic = process.env.KAFKA_TOPIC
if (bootstrapServers && topic) {
  const producer = new Producer({
    bootstrapServers,
    keySerializer: stringSerializer,
    valueSerializer: stringSerializer,
  })
  const sends = Array.from({ length: RECORDS }, (_, number) => {
    return producer.send({ topic, key: `key-${number}`, value: `${process.version} ${form} ${number}` })
  })
  const acknowledged = await Promise.all(sends)
  assert.equal(new Set(acknowledged.map(({ partition, offset }) => `${partition}@${offset}`)).size, RECORDS)
  const report = await producer.close()
  assert.equal(report.abandoned, 0)
}
console.log(
  `${process.version} ${form}${file ? ` ${basename(file)}` : ''}: ok${bootstrapServers && topic ? `, ${RECORDS} records` : ''}`,
)
