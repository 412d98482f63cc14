// Clicks of a web site: some loss is tolerated, a visitor who waits is not. `enqueue` takes the record and returns at once, also
// while Kafka is away; then memory stays bounded, the oldest clicks are given up, and the counters say how many.

import { jsonSerializer, Producer, presets, stringSerializer } from 'kafka-wire'

const { KAFKA_BOOTSTRAP_SERVERS = 'localhost:9092' } = process.env

interface Click {
  readonly visitor: string
  readonly page: string
  readonly at: number
}

const producer = new Producer<string, Click>({
  ...presets.neverBlock,
  bootstrapServers: KAFKA_BOOTSTRAP_SERVERS,
  keySerializer: stringSerializer,
  valueSerializer: jsonSerializer,
})

/** For a request handler: the page is sent whatever becomes of the click. True: there is room for more. */
function track(click: Click): boolean {
  return producer.enqueue({ topic: 'web-clicks', key: click.visitor, value: click })
}

// A day's clicks from a file or a database come faster than visitors do. Such a loop waits when it is told to, as with
// Writable.write() and 'drain', and then loses nothing. A request handler ignores the answer.
for (let i = 0; i < 100_000; i++) {
  const room = track({ visitor: `visitor-${i % 1_000}`, page: `/product/${i % 50}`, at: Date.now() })
  if (!room) await producer.ready()
}

await producer.flush()
const { recordDeliveredTotal, recordErrorTotal, recordDroppedTotal, deliveryTime } = producer.metrics()
console.log(
  `${recordDeliveredTotal} clicks delivered, ${recordErrorTotal} failed (${recordDroppedTotal} of them dropped for newer ones), ` +
    `p99 ${deliveryTime.p99.toFixed(1)} ms`,
)

await producer.close()
