// Payments: none lost, none twice, each confirmed before the next step. `persisted` tells the two kinds of failure apart: a payment
// that cannot be in the log may be sent again, one that possibly is must be looked up first.

import { jsonSerializer, KafkaError, Producer, presets, stringSerializer } from 'kafka-wire'

const { KAFKA_BOOTSTRAP_SERVERS = 'localhost:9092' } = process.env

interface Payment {
  readonly id: string
  readonly account: string
  readonly cents: number
}

const producer = new Producer<string, Payment>({
  ...presets.neverLose,
  bootstrapServers: KAFKA_BOOTSTRAP_SERVERS,
  keySerializer: stringSerializer, // one account, one partition: an account's payments stay in order
  valueSerializer: jsonSerializer,
})

async function pay(payment: Payment): Promise<'booked' | 'not booked' | 'look it up'> {
  try {
    await producer.send({
      topic: 'payments',
      key: payment.account,
      value: payment,
      headers: { 'payment-id': payment.id, 'content-type': 'application/json' },
    })
    return 'booked'
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    console.error(`payment ${payment.id}: ${error.code}: ${error.message}`)
    return error.persisted === 'no' ? 'not booked' : 'look it up'
  }
}

// A wrong address or password shows here and not with the first payment.
await producer.connect()

const payments = Array.from({ length: 1_000 }, (_, i) => ({
  id: `payment-${i}`,
  account: `account-${i % 25}`,
  cents: 100 + i,
}))

const outcomes = await Promise.all(payments.map(pay))
const booked = outcomes.filter((outcome) => outcome === 'booked').length
console.log(`${booked} of ${payments.length} payments booked`)

const { abandoned } = await producer.close({ timeoutMs: 10_000 })
process.exitCode = booked === payments.length && abandoned === 0 ? 0 : 1
