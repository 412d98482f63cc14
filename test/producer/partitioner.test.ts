import { describe, expect, test } from 'vitest'
import {
  askPartitioner,
  consistentKeyed,
  javaKeyed,
  type KeylessPartitioner,
  keyDecides,
  keylessPartitioner,
  RandomPartitioner,
  RoundRobinPartitioner,
  StickyPartitioner,
} from '../../src/producer/partitioner.ts'
import type { PartitionInfo } from '../../src/producer/types.ts'

const everyLeader = () => true
const leadersOf =
  (...partitions: number[]) =>
  (partition: number) =>
    partitions.includes(partition)

/** Goes through 0, 1/places, 2/places, ... again and again: each of that many places is drawn equally often, exactly. */
function inTurn(places: number): () => number {
  let turn = 0
  return () => (turn++ % places) / places
}

/** A seeded generator (mulberry32), for what a real one would give. */
function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let bits = Math.imul(seed ^ (seed >>> 15), seed | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** Answers what stands in the list, in order, and fails the test when it is asked once more. */
function listed(...answers: number[]): () => number {
  return () => {
    const answer = answers.shift()
    if (answer === undefined) throw new Error('asked for one random number more than the test allows')
    return answer
  }
}

/** How often each partition was chosen in so many choices, each ended by one record that fills the sticky batch. */
function shares(partitioner: KeylessPartitioner, partitionCount: number, choices: number): number[] {
  const counts = new Array<number>(partitionCount).fill(0)
  for (let i = 0; i < choices; i++) {
    const partition = partitioner.current()
    counts[partition] = counts[partition]! + 1
    partitioner.onAppended(1000, true)
  }
  return counts
}

const BATCH = 1000

describe('with a key', () => {
  // librdkafka tests/0048-partitioner.c: hashes of these keys, for 7 partitions in quick mode and 17 otherwise.
  const long = 'this is another string with more length to it perhaps'
  test.each([
    ['23456', 0xb1b451d7, 0x058d780f],
    [long, 0xb0150df7, 0x4f7703da],
    ['hejsan', 0xd077037e, 0x5ec19395],
  ])('%j goes where librdkafka\u2019s table sends it', (key, crc, murmur) => {
    for (const count of [7, 17]) {
      expect(consistentKeyed(Buffer.from(key), count)).toBe(crc % count)
      expect(javaKeyed(murmur, count)).toBe(murmur % count)
    }
  })

  test('the CRC is the IEEE one: 123456789 gives cbf43926, not Castagnoli\u2019s e3069283', () => {
    expect(consistentKeyed(Buffer.from('123456789'), 0x1_0000_0000)).toBe(0xcbf43926)
  })

  test.each([
    // partitioner, key length (-1: none), keys ignored, decides
    ['java', 5, false, true],
    ['java', 0, false, true],
    ['java', -1, false, false],
    ['java', 5, true, false],
    ['consistentRandom', 5, false, true],
    ['consistentRandom', 0, false, false],
    ['consistentRandom', -1, false, false],
    ['consistentRandom', 5, true, false],
    ['random', 5, false, false],
    ['roundRobin', 5, false, false],
  ] as const)('%s, key length %i, keys ignored %s: the key decides %s', (name, keyLength, ignoreKeys, decides) => {
    expect(keyDecides(name, keyLength, ignoreKeys)).toBe(decides)
  })
})

describe('a partitioner function', () => {
  const partitions: PartitionInfo[] = [0, 1, 2].map((partition) => ({
    topic: 'orders',
    partition,
    leader: partition,
    replicas: [partition],
    inSyncReplicas: [partition],
    offlineReplicas: [],
  }))

  test('gets topic, key bytes, record and partitions, and its answer is taken', () => {
    const record = { topic: 'orders', value: 'v' }
    const keyBytes = Buffer.from('k')
    let seen: unknown[] = []
    const partition = askPartitioner(
      (...args) => {
        seen = args
        return 2
      },
      'orders',
      keyBytes,
      record,
      partitions,
    )
    expect(partition).toBe(2)
    expect(seen).toEqual(['orders', keyBytes, record, partitions])
  })

  test.each([
    [3, '3'],
    [-1, '-1'],
    [0.5, '0.5'],
    [Number.NaN, 'NaN'],
    ['1', 'a value of type string'],
    [undefined, 'a value of type undefined'],
    [null, 'a value of type null'],
    [Promise.resolve(1), 'a promise'],
  ])('that answers %s fails the record and says what is allowed', (answer, said) => {
    expect(() => askPartitioner(() => answer as number, 'orders', null, {}, partitions)).toThrow(
      expect.objectContaining({
        code: 'PARTITIONER_FAILED',
        topic: 'orders',
        message: `the partitioner, asked for a partition of topic orders, answered ${said}. It must answer, at once, a whole number from 0 to 2.`,
      }),
    )
  })

  test('that throws fails the record with what it threw as the cause', () => {
    const cause = new TypeError('no such customer')
    const failing = () => {
      throw cause
    }
    expect(() => askPartitioner(failing, 'orders', null, {}, partitions)).toThrow(
      expect.objectContaining({
        code: 'PARTITIONER_FAILED',
        cause,
        message: expect.stringContaining('threw: no such customer'),
      }),
    )
  })
})

describe('the sticky partitioner: when it changes', () => {
  // 0 at the start, then 1, then 2, of four partitions.
  const started = () => {
    const partitioner = new StickyPartitioner(BATCH, listed(0, 0.25, 0.5))
    partitioner.setPartitions(4, everyLeader)
    return partitioner
  }

  test('knows no partition before the first metadata', () => {
    expect(new StickyPartitioner(BATCH, listed()).current()).toBe(-1)
  })

  test('stays, whatever ends, until batchSize bytes were appended', () => {
    const partitioner = started()
    for (let i = 0; i < 9; i++) {
      partitioner.onAppended(111, true)
      partitioner.onBoundary()
      expect(partitioner.current()).toBe(0)
    }
    partitioner.onAppended(1, true)
    expect(partitioner.current()).toBe(1)
  })

  test('at batchSize bytes inside an open batch it waits for the end of that batch', () => {
    const partitioner = started()
    partitioner.onAppended(1000, false)
    partitioner.onAppended(900, false)
    expect(partitioner.current()).toBe(0)
    partitioner.onAppended(10, true)
    expect(partitioner.current()).toBe(1)
  })

  test('a batch that ended for another reason (linger, flush) is noticed before the next append', () => {
    const partitioner = started()
    partitioner.onAppended(1000, false)
    expect(partitioner.current()).toBe(0)
    partitioner.onBoundary()
    expect(partitioner.current()).toBe(1)
  })

  test('at twice batchSize it changes in the middle of a batch', () => {
    const partitioner = started()
    partitioner.onAppended(1999, false)
    expect(partitioner.current()).toBe(0)
    partitioner.onAppended(1, false)
    expect(partitioner.current()).toBe(1)
  })

  test('the bytes are counted anew after a change', () => {
    const partitioner = started()
    partitioner.onAppended(1700, true)
    expect(partitioner.current()).toBe(1)
    partitioner.onAppended(999, true)
    expect(partitioner.current()).toBe(1)
    partitioner.onAppended(1, true)
    expect(partitioner.current()).toBe(2)
  })

  test('many records that each wait long still fill whole batches, one partition after the other', () => {
    const partitioner = new StickyPartitioner(BATCH, seeded(7))
    partitioner.setPartitions(5, everyLeader)
    // Every tenth record meets a full batch; linger never ends one earlier.
    const runs: number[] = []
    let previous = -1
    for (let i = 0; i < 1000; i++) {
      const partition = partitioner.current()
      if (i % 10 === 0) {
        runs.push(partition)
        previous = partition
      }
      expect(partition).toBe(previous)
      partitioner.onAppended(100, i % 10 === 9)
    }
    expect(runs).toHaveLength(100)
    expect(new Set(runs).size).toBe(5)
  })

  test.each([0, -5, Number.NaN])('a batchSize of %d is refused', (batchSize) => {
    expect(() => new StickyPartitioner(batchSize, Math.random)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG' }),
    )
  })
})

describe('the sticky partitioner: what it changes to', () => {
  test('takes all partitions equally often while nothing is known about their queues', () => {
    const partitioner = new StickyPartitioner(BATCH, inTurn(4))
    partitioner.setPartitions(4, everyLeader)
    expect(shares(partitioner, 4, 4000)).toEqual([1000, 1000, 1000, 1000])
  })

  test('a real random source gives shares within five standard deviations of equal', () => {
    const partitioner = new StickyPartitioner(BATCH, seeded(42))
    partitioner.setPartitions(6, everyLeader)
    const choices = 60_000
    const deviation = Math.sqrt(choices * (1 / 6) * (5 / 6))
    for (const share of shares(partitioner, 6, choices))
      expect(Math.abs(share - choices / 6)).toBeLessThan(5 * deviation)
  })

  test('passes over partitions without a leader', () => {
    const partitioner = new StickyPartitioner(BATCH, inTurn(2))
    partitioner.setPartitions(4, leadersOf(1, 3))
    expect(shares(partitioner, 4, 1000)).toEqual([0, 500, 0, 500])
  })

  test('takes any partition when none has a leader', () => {
    const partitioner = new StickyPartitioner(BATCH, inTurn(3))
    partitioner.setPartitions(3, leadersOf())
    expect(shares(partitioner, 3, 999)).toEqual([333, 333, 333])
  })

  test('leaves a partition at once when it loses its leader, and stays through updates that do not touch it', () => {
    const partitioner = new StickyPartitioner(BATCH, listed(0.5, 0))
    partitioner.setPartitions(3, everyLeader)
    expect(partitioner.current()).toBe(1)
    partitioner.setPartitions(3, leadersOf(1, 2))
    expect(partitioner.current()).toBe(1)
    partitioner.setPartitions(3, leadersOf(0, 2))
    expect(partitioner.current()).toBe(0)
  })

  test('leaves a partition that no longer exists, and finds new ones', () => {
    const partitioner = new StickyPartitioner(BATCH, listed(0.9, 0.5, 0.9))
    partitioner.setPartitions(3, everyLeader)
    expect(partitioner.current()).toBe(2)
    partitioner.setPartitions(2, everyLeader)
    expect(partitioner.current()).toBe(1)
    partitioner.setPartitions(10, everyLeader)
    expect(partitioner.current()).toBe(1)
    partitioner.onAppended(BATCH, true)
    expect(partitioner.current()).toBe(9)
  })
})

describe('the sticky partitioner: by load', () => {
  const load = (queueLengths: number[], partitions = queueLengths.map((_, i) => i)) =>
    [Int32Array.from(queueLengths), Int32Array.from(partitions), partitions.length] as const

  // Kafka's testAdaptiveBuiltInPartitioner: the weight is the longest queue plus one, less the partition's own.
  test.each([
    [
      [0, 3, 1],
      [4, 1, 3],
    ],
    [
      [5, 0, 3, 0, 1],
      [1, 6, 3, 6, 5],
    ],
    [
      [1, 7, 2],
      [7, 1, 6],
    ],
  ])('queues of %j batches get shares of %j', (queueLengths, weights) => {
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    const partitioner = new StickyPartitioner(BATCH, inTurn(total))
    partitioner.setPartitions(queueLengths.length, everyLeader)
    partitioner.updateLoad(...load(queueLengths))
    // The choice made before the load was known is not counted.
    partitioner.onAppended(BATCH, true)
    expect(shares(partitioner, weights.length, 100 * total)).toEqual(weights.map((weight) => 100 * weight))
  })

  test('queues of 0, 3 and 1: the cumulative weights 4, 5, 8 are the limits between the partitions', () => {
    const draws = [0, 3.99, 4, 4.99, 5, 7.99].map((drawn) => drawn / 8)
    const partitioner = new StickyPartitioner(BATCH, listed(0, ...draws))
    partitioner.setPartitions(3, everyLeader)
    partitioner.updateLoad(...load([0, 3, 1]))
    const chosen = draws.map(() => {
      partitioner.onAppended(BATCH, true)
      return partitioner.current()
    })
    expect(chosen).toEqual([0, 0, 1, 1, 2, 2])
  })

  test('passes over the partitions that the table leaves out, even when the rest are equal', () => {
    const partitioner = new StickyPartitioner(BATCH, inTurn(2))
    partitioner.setPartitions(4, everyLeader)
    partitioner.updateLoad(...load([1, 1], [0, 3]))
    partitioner.onAppended(BATCH, true)
    expect(shares(partitioner, 4, 1000)).toEqual([500, 0, 0, 500])
  })

  test('an excluded partition leaves no trace in the weights of the others', () => {
    // Java takes the length of an excluded partition's queue over to the next partition when that one's queue is empty.
    const partitioner = new StickyPartitioner(BATCH, inTurn(6))
    partitioner.setPartitions(3, everyLeader)
    partitioner.updateLoad(...load([9, 0, 4]))
    partitioner.updateLoad(...load([0, 4], [1, 2]))
    partitioner.onAppended(BATCH, true)
    expect(shares(partitioner, 3, 600)).toEqual([0, 500, 100])
  })

  test('uses no more places of the arrays than it is told', () => {
    const partitioner = new StickyPartitioner(BATCH, inTurn(4))
    partitioner.setPartitions(4, everyLeader)
    partitioner.updateLoad(Int32Array.of(2, 0, 99, 99), Int32Array.of(1, 2, 0, 3), 2)
    partitioner.onAppended(BATCH, true)
    expect(shares(partitioner, 4, 400)).toEqual([0, 100, 300, 0])
  })

  test.each<[string, readonly [Int32Array | null, Int32Array, number]]>([
    ['all queues are equal and nothing is left out', load([2, 2, 2])],
    ['nothing is known', [null, new Int32Array(3), 3]],
    ['everything is left out', load([], [])],
  ])('chooses uniformly when %s', (_when, table) => {
    const partitioner = new StickyPartitioner(BATCH, inTurn(3))
    partitioner.setPartitions(3, everyLeader)
    partitioner.updateLoad(...load([0, 3, 1]))
    partitioner.updateLoad(...table)
    expect(shares(partitioner, 3, 300)).toEqual([100, 100, 100])
  })

  test('a change of metadata forgets the load: a partition that lost its leader is not chosen by its old weight', () => {
    const partitioner = new StickyPartitioner(BATCH, inTurn(2))
    partitioner.setPartitions(3, everyLeader)
    partitioner.updateLoad(...load([0, 3, 1]))
    partitioner.setPartitions(3, leadersOf(1, 2))
    expect(shares(partitioner, 3, 200)).toEqual([0, 100, 100])
  })

  test('the choice does not move when only the load does', () => {
    const partitioner = new StickyPartitioner(BATCH, listed(0))
    partitioner.setPartitions(3, everyLeader)
    partitioner.updateLoad(...load([9, 0, 0]))
    expect(partitioner.current()).toBe(0)
  })
})

describe('the random partitioner', () => {
  test('chooses anew for every record, equally often among those with a leader', () => {
    const partitioner = new RandomPartitioner(inTurn(3))
    expect(partitioner.current()).toBe(-1)
    partitioner.setPartitions(4, leadersOf(0, 1, 3))
    expect(shares(partitioner, 4, 900)).toEqual([300, 300, 0, 300])
  })

  test('gives the same answer until a record was appended', () => {
    const partitioner = new RandomPartitioner(listed(0.5, 0))
    partitioner.setPartitions(2, everyLeader)
    partitioner.onBoundary()
    expect([partitioner.current(), partitioner.current()]).toEqual([1, 1])
    partitioner.onAppended()
    expect(partitioner.current()).toBe(0)
  })

  test('takes any partition when none has a leader', () => {
    const partitioner = new RandomPartitioner(inTurn(2))
    partitioner.setPartitions(2, leadersOf())
    expect(shares(partitioner, 2, 100)).toEqual([50, 50])
  })
})

describe('the round-robin partitioner', () => {
  const nextFive = (partitioner: RoundRobinPartitioner) =>
    [1, 2, 3, 4, 5].map(() => {
      const partition = partitioner.current()
      partitioner.onAppended()
      return partition
    })

  test('takes the partitions in turn, one record each', () => {
    const partitioner = new RoundRobinPartitioner()
    expect(partitioner.current()).toBe(-1)
    partitioner.setPartitions(3, everyLeader)
    expect(nextFive(partitioner)).toEqual([0, 1, 2, 0, 1])
  })

  test('skips those without a leader, and takes all when none has one', () => {
    const partitioner = new RoundRobinPartitioner()
    partitioner.setPartitions(4, leadersOf(1, 3))
    expect(nextFive(partitioner)).toEqual([1, 3, 1, 3, 1])
    partitioner.setPartitions(2, leadersOf())
    expect(nextFive(partitioner)).toEqual([1, 0, 1, 0, 1])
  })

  test('a record that finds no room takes no turn', () => {
    const partitioner = new RoundRobinPartitioner()
    partitioner.setPartitions(3, everyLeader)
    partitioner.onBoundary()
    partitioner.updateLoad()
    expect([partitioner.current(), partitioner.current()]).toEqual([0, 0])
  })
})

describe('which chooser a topic gets', () => {
  test.each([
    ['java', StickyPartitioner],
    ['random', RandomPartitioner],
    ['consistentRandom', RandomPartitioner],
    ['roundRobin', RoundRobinPartitioner],
  ] as const)('%s', (name, expected) => {
    expect(keylessPartitioner(name, BATCH, Math.random)).toBeInstanceOf(expected)
  })
})
