// Sends a record that fails and looks at nothing: Node ends the process with the error.
import { Producer } from '../../../src/index.ts'

const producer = new Producer({ bootstrapServers: process.argv[2]! })
void producer.send({ topic: 'not a topic', value: 'v' })
// Keeps the process alive: it must be the rejection that ends it.
setTimeout(() => undefined, 60_000)
