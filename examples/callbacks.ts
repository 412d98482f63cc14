// One send with a callback for success and one for failure. There is no poll() to call: answers arrive by themselves.

import { type KafkaError, Producer, type RecordMetadata } from 'kafka-wire'

const { KAFKA_BOOTSTRAP_SERVERS = 'localhost:9092' } = process.env

function onSendSuccess(metadata: RecordMetadata): void {
  console.log(`Message sent to ${metadata.topic} partition ${metadata.partition} offset ${metadata.offset}`)
}

function onSendError(error: KafkaError): void {
  console.error(`Message not sent: ${error.message}`)
  process.exitCode = 1
}

const producer = new Producer({ bootstrapServers: KAFKA_BOOTSTRAP_SERVERS })

// Send a message with callbacks
producer.send({ topic: 'my-topic', value: 'some_message_bytes' }).then(onSendSuccess, onSendError)

// close() sends what is still waiting, so the callback has run when it resolves.
await producer.close()
