// Metrics: every name of Java's producer, and each number out of known events.
import { beforeEach, describe, expect, test } from 'vitest'
import type { Gauges } from '../../src/producer/metric-snapshot.ts'
import { Metrics } from '../../src/producer/metrics.ts'
import { FakeClock } from '../support/fake-clock.ts'

const gauges: Gauges = {
  requestsInFlight: 0,
  metadataAgeMs: 0,
  waitingSends: 0,
  bufferTotalBytes: 0,
  bufferAvailableBytes: 0,
  recordsPending: 0,
  connectionCount: 0,
}

const orders = 'orders'
const STARTED_AT = Date.UTC(2026, 10, 21)
let clock: FakeClock
let metrics: Metrics
const snapshot = (present: Partial<Gauges> = {}) => metrics.snapshot({ ...gauges, ...present })

beforeEach(() => {
  clock = new FakeClock(STARTED_AT)
  metrics = new Metrics(clock)
})

// kafka.producer: producer-metrics as Apache Kafka 4 registers them (SenderMetricsRegistry, KafkaProducerMetrics, BufferPool,
// RecordAccumulator, Selector).
const javaNames = `
  batch-size-avg batch-size-max batch-split-rate batch-split-total compression-rate-avg record-queue-time-avg record-queue-time-max
  request-latency-avg request-latency-max produce-throttle-time-avg produce-throttle-time-max record-send-rate record-send-total
  record-retry-rate record-retry-total record-error-rate record-error-total records-per-request-avg record-size-avg record-size-max
  requests-in-flight metadata-age waiting-threads buffer-total-bytes buffer-available-bytes bufferpool-wait-ratio
  bufferpool-wait-time-ns-total buffer-exhausted-rate buffer-exhausted-total flush-time-ns-total metadata-wait-time-ns-total
  txn-init-time-ns-total txn-begin-time-ns-total txn-send-offsets-time-ns-total txn-commit-time-ns-total txn-abort-time-ns-total
  connection-count connection-creation-rate connection-creation-total connection-close-rate connection-close-total
  successful-authentication-rate successful-authentication-total successful-authentication-no-reauth-total
  failed-authentication-rate failed-authentication-total successful-reauthentication-rate successful-reauthentication-total
  failed-reauthentication-rate failed-reauthentication-total reauthentication-latency-avg reauthentication-latency-max
  network-io-rate network-io-total outgoing-byte-rate outgoing-byte-total request-rate request-total request-size-avg
  request-size-max incoming-byte-rate incoming-byte-total response-rate response-total select-rate select-total
  io-wait-time-ns-avg io-wait-ratio io-wait-time-ns-total io-time-ns-avg io-ratio io-time-ns-total start-time-ms`

const javaTopicNames = `
  record-send-rate record-send-total byte-rate byte-total compression-rate record-retry-rate record-retry-total record-error-rate
  record-error-total`

const javaNodeNames = `
  request-rate request-total request-size-avg request-size-max outgoing-byte-rate outgoing-byte-total response-rate response-total
  incoming-byte-rate incoming-byte-total request-latency-avg request-latency-max`

const camelNames = (names: string): string[] =>
  names
    .trim()
    .split(/\s+/)
    .map((name) => name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase()))

describe('names', () => {
  test("every producer metric of Java's is there under its name in camelCase, as a number", () => {
    const found = snapshot()
    for (const name of camelNames(javaNames)) expect(found, name).toHaveProperty(name, expect.any(Number))
  })

  test('every topic metric and every node metric too', () => {
    metrics.batchDrained('orders', 1, 100, 0)
    metrics.requestSent(1, 100)
    const found = snapshot()
    for (const name of camelNames(javaTopicNames)) expect(found.topics[orders]).toHaveProperty(name, expect.any(Number))
    for (const name of camelNames(javaNodeNames)) expect(found.brokers['1']).toHaveProperty(name, expect.any(Number))
  })

  test('before anything has happened every number is finite, and 0 but for the start and the idle time', () => {
    const { startTimeMs, ioWaitRatio, topics, brokers, deliveryTime, queueTime, requestTime, ...rest } = snapshot()
    expect(new Set(Object.values(rest))).toEqual(new Set([0, rest.ioWaitTimeNsTotal]))
    expect(startTimeMs).toBe(STARTED_AT)
    expect(ioWaitRatio).toBe(1)
    for (const each of [deliveryTime, queueTime, requestTime]) expect(each).toEqual({ p50: 0, p95: 0, p99: 0, p999: 0 })
    expect(Object.keys(topics)).toEqual([])
    expect(Object.keys(brokers)).toEqual([])
  })

  test('a snapshot is plain data: JSON carries all of it', () => {
    metrics.batchDrained('orders', 1, 100, 0)
    const found = snapshot()
    expect(JSON.parse(JSON.stringify(found))).toEqual(found)
  })

  test('a later event does not change an earlier snapshot', () => {
    const before = snapshot()
    metrics.recordsFailed('orders', 1)
    expect(before.recordErrorTotal).toBe(0)
  })
})

describe('records and batches', () => {
  test('a drained batch counts its records, its bytes and how long it waited', () => {
    metrics.batchDrained('orders', 10, 1_000, 4)
    metrics.batchDrained('clicks', 30, 5_000, 8)
    clock.advance(10_000)
    expect(snapshot()).toMatchObject({
      recordSendTotal: 40,
      recordSendRate: 4,
      batchSizeAvg: 3_000,
      batchSizeMax: 5_000,
      recordSizeAvg: 150,
      recordSizeMax: 5_000 / 30,
      recordQueueTimeAvg: 7,
      recordQueueTimeMax: 8,
      compressionRateAvg: 1,
      topics: {
        orders: { recordSendTotal: 10, recordSendRate: 1, byteTotal: 1_000, byteRate: 100, compressionRate: 1 },
        clicks: { recordSendTotal: 30, recordSendRate: 3, byteTotal: 5_000, byteRate: 500, compressionRate: 1 },
      },
    })
  })

  test('of a compressed batch the ratio, and the size of its records before', () => {
    metrics.batchDrained('orders', 10, 500, 0, 2_000, 900)
    expect(snapshot()).toMatchObject({
      compressionRateAvg: 0.25,
      recordSizeAvg: 200,
      recordSizeMax: 900,
      batchSizeAvg: 500,
      topics: { orders: { compressionRate: 0.25, byteTotal: 500 } },
    })
  })

  test('delivered, failed and retried records count in all and by topic', () => {
    metrics.recordsDelivered('orders', 7, 12)
    metrics.recordsFailed('orders', 2)
    metrics.recordsRetried('orders', 3)
    clock.advance(2_000)
    const expected = {
      recordDeliveredTotal: 7,
      recordDeliveredRate: 3.5,
      recordErrorTotal: 2,
      recordErrorRate: 1,
      recordRetryTotal: 3,
      recordRetryRate: 1.5,
    }
    expect(snapshot()).toMatchObject({ ...expected, topics: { orders: expected } })
  })

  test('split batches, dropped, refused and starved records are counted', () => {
    metrics.batchSplit()
    metrics.dropped(5)
    metrics.refused(6)
    metrics.bufferExhausted(7)
    clock.advance(1_000)
    expect(snapshot()).toMatchObject({
      batchSplitTotal: 1,
      batchSplitRate: 1,
      recordDroppedTotal: 5,
      recordRefusedTotal: 6,
      bufferExhaustedTotal: 7,
      bufferExhaustedRate: 7,
    })
  })

  test('percentiles count records, not batches', () => {
    metrics.recordsDelivered('orders', 990, 1)
    metrics.recordsDelivered('orders', 10, 100)
    metrics.batchDrained('orders', 98, 1, 2)
    metrics.batchDrained('orders', 2, 1, 50)
    const { deliveryTime, queueTime } = snapshot()
    expect(deliveryTime.p50).toBeCloseTo(1, 1)
    expect(deliveryTime.p99).toBeCloseTo(1, 1)
    expect(deliveryTime.p999).toBeGreaterThan(95)
    expect(queueTime.p95).toBeLessThan(2.1)
    expect(queueTime.p99).toBeGreaterThan(47.5)
  })
})

describe('requests and connections', () => {
  test('requests and answers count in all and by broker; control requests have no records', () => {
    metrics.requestSent(1, 3_000, 40)
    metrics.requestSent(1, 1_000, 20)
    metrics.requestSent(2, 50)
    metrics.requestAnswered(1, 4, 0, 100)
    metrics.requestAnswered(2, 8, 30, 200)
    clock.advance(1_000)
    expect(snapshot()).toMatchObject({
      requestTotal: 3,
      requestRate: 3,
      requestSizeAvg: 1_350,
      requestSizeMax: 3_000,
      recordsPerRequestAvg: 30,
      requestLatencyAvg: 6,
      requestLatencyMax: 8,
      responseTotal: 2,
      responseRate: 2,
      produceThrottleTimeAvg: 15,
      produceThrottleTimeMax: 30,
      outgoingByteTotal: 4_050,
      outgoingByteRate: 4_050,
      incomingByteTotal: 300,
      networkIoTotal: 5,
      networkIoRate: 5,
      brokers: {
        1: {
          requestTotal: 2,
          requestSizeAvg: 2_000,
          requestLatencyAvg: 4,
          outgoingByteTotal: 4_000,
          incomingByteTotal: 100,
        },
        2: { requestTotal: 1, requestLatencyMax: 8, responseTotal: 1, incomingByteRate: 200 },
      },
    })
    expect(snapshot().requestTime.p999).toBeCloseTo(8, 0)
  })

  test("a node that is not known yet is called 'bootstrap'", () => {
    metrics.requestSent(-1, 10)
    expect(Object.keys(snapshot().brokers)).toEqual(['bootstrap'])
  })

  test('connections that were opened and closed are counted', () => {
    metrics.connectionOpened()
    metrics.connectionOpened()
    metrics.connectionClosed()
    clock.advance(2_000)
    expect(snapshot({ connectionCount: 1 })).toMatchObject({
      connectionCount: 1,
      connectionCreationTotal: 2,
      connectionCreationRate: 1,
      connectionCloseTotal: 1,
      connectionCloseRate: 0.5,
    })
  })

  test('passes of the I/O loop and the time between them share all the time there is', () => {
    metrics.passed(10)
    metrics.passed(30)
    clock.advance(1_000)
    expect(snapshot()).toMatchObject({
      selectTotal: 2,
      selectRate: 2,
      ioTimeNsTotal: 40_000_000,
      ioTimeNsAvg: 20_000_000,
      ioRatio: 0.04,
      ioWaitTimeNsTotal: 960_000_000,
      ioWaitTimeNsAvg: 480_000_000,
      ioWaitRatio: 0.96,
    })
  })
})

describe('memory and waiting', () => {
  test('what the producer is like at this moment is handed in', () => {
    const present = {
      requestsInFlight: 3,
      metadataAgeMs: 1_500,
      waitingSends: 4,
      bufferTotalBytes: 100,
      bufferAvailableBytes: 60,
      recordsPending: 9,
    }
    expect(snapshot(present)).toMatchObject({
      requestsInFlight: 3,
      metadataAge: 1.5,
      waitingThreads: 4,
      bufferTotalBytes: 100,
      bufferAvailableBytes: 60,
      recordsPending: 9,
    })
  })

  test('the time in which a send waited for room counts once, however many wait, and while it lasts', () => {
    clock.advance(4_000)
    metrics.lineFormed()
    clock.advance(1_000)
    metrics.lineFormed()
    expect(snapshot()).toMatchObject({ bufferpoolWaitTimeNsTotal: 1_000_000_000, bufferpoolWaitRatio: 0.2 })
    clock.advance(1_000)
    metrics.lineCleared()
    metrics.lineCleared()
    clock.advance(4_000)
    expect(snapshot()).toMatchObject({ bufferpoolWaitTimeNsTotal: 2_000_000_000, bufferpoolWaitRatio: 0.2 })
  })

  test('a line that lasted longer than both windows fills them and no more', () => {
    metrics.lineFormed()
    clock.advance(200_000)
    expect(snapshot().bufferpoolWaitRatio).toBe(1)
    metrics.lineCleared()
    expect(snapshot().bufferpoolWaitRatio).toBe(1)
    expect(snapshot().bufferpoolWaitTimeNsTotal).toBe(200_000_000_000)
  })

  test('time in flush and for metadata adds up', () => {
    metrics.flushed(1.5)
    metrics.flushed(2)
    metrics.metadataWaited(7)
    expect(snapshot()).toMatchObject({ flushTimeNsTotal: 3_500_000, metadataWaitTimeNsTotal: 7_000_000 })
  })
})

describe('windows', () => {
  test('a rate looks back over this window of 30 s and the one before', () => {
    metrics.recordsFailed('orders', 300)
    clock.advance(45_000)
    metrics.recordsFailed('orders', 150)
    // 45 s, all of them in the two windows.
    expect(snapshot().recordErrorRate).toBe(10)
    clock.advance(20_000)
    // At 65 s the first window is over: what is left are 150 in the 35 s since 30 s.
    expect(snapshot().recordErrorRate).toBeCloseTo(150 / 35, 9)
    expect(snapshot().topics[orders]!.recordErrorRate).toBeCloseTo(150 / 35, 9)
    clock.advance(25_000)
    expect(snapshot()).toMatchObject({ recordErrorRate: 0, recordErrorTotal: 450 })
  })

  test('after a long silence nothing old comes back, in all, by topic and by broker', () => {
    metrics.batchDrained('orders', 10, 1_000, 4)
    metrics.requestSent(1, 1_000, 10)
    clock.advance(1_000_000)
    const found = snapshot()
    expect(found).toMatchObject({ recordSendRate: 0, batchSizeAvg: 0, batchSizeMax: 0, recordSendTotal: 10 })
    expect(found.queueTime.p50).toBe(0)
    expect(found.topics[orders]).toMatchObject({ recordSendRate: 0, compressionRate: 0, recordSendTotal: 10 })
    expect(found.brokers['1']).toMatchObject({ requestRate: 0, requestSizeMax: 0, requestTotal: 1 })
  })

  test('in the first second a rate is taken over a whole one, later over the time that has passed', () => {
    metrics.recordsFailed('orders', 100)
    clock.advance(1)
    expect(snapshot().recordErrorRate).toBe(100)
    clock.advance(4_999)
    expect(snapshot().recordErrorRate).toBe(20)
  })
})

describe('bounds', () => {
  test('past 1,000 topics the others share one entry, and no record is lost in the sums', () => {
    for (let index = 0; index < 1_500; index++) metrics.recordsDelivered(`topic-${index}`, 2, 1)
    metrics.recordsDelivered('topic-0', 2, 1)
    const { topics, recordDeliveredTotal } = snapshot()
    expect(Object.keys(topics)).toHaveLength(1_001)
    expect(topics['(other)']!.recordDeliveredTotal).toBe(1_000)
    expect(topics['topic-0']!.recordDeliveredTotal).toBe(4)
    expect(topics['topic-999']!.recordDeliveredTotal).toBe(2)
    expect(recordDeliveredTotal).toBe(3_002)
  })

  test('past 1,000 brokers too', () => {
    for (let nodeId = 0; nodeId < 1_100; nodeId++) metrics.requestSent(nodeId, 1)
    const { brokers } = snapshot()
    expect(Object.keys(brokers)).toHaveLength(1_001)
    expect(brokers['(other)']!.requestTotal).toBe(100)
  })

  test.each(['__proto__', 'constructor', 'toString'])('a topic may be called %s', (name) => {
    metrics.recordsFailed(name, 1)
    const { topics } = snapshot()
    expect(Object.keys(topics)).toEqual([name])
    expect(topics[name]!.recordErrorTotal).toBe(1)
  })
})
