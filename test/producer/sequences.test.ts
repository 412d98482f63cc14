import { describe, expect, test } from 'vitest'
import type { Batch } from '../../src/producer/batch.ts'
import { EPOCH_MAX, type Identity, Sequences, sequenceAfter } from '../../src/producer/sequences.ts'

const identity = (firstEpoch = 0): Identity => ({ producerIdHigh: 0, producerIdLow: 1_000, firstEpoch })

/** What Sequences touches of a batch. */
function batchOf(count: number): Batch {
  const batch: Pick<Batch, 'count' | 'identity' | 'epoch' | 'baseSequence' | 'isSealed'> = {
    count,
    identity: null,
    epoch: -1,
    baseSequence: -1,
    isSealed: true,
  }
  return batch as Batch
}

function adopted(firstEpoch = 0): Sequences {
  const sequences = new Sequences(true)
  sequences.adopt(identity(firstEpoch))
  return sequences
}

describe('the sequence after so many records', () => {
  test.each([
    [0, 1, 1],
    [0, 500, 500],
    [2_147_483_646, 1, 2_147_483_647],
    [2_147_483_647, 1, 0],
    [2_147_483_647, 2, 1],
    [2_147_483_640, 10, 2],
    [2_147_483_647, 2_147_483_647, 2_147_483_646],
  ])('%i and %i records: %i, never a negative number', (sequence, count, next) => {
    expect(sequenceAfter(sequence, count)).toBe(next)
  })
})

describe('numbering', () => {
  test('batches follow each other by their numbers of records', () => {
    const sequences = adopted(3)
    const batches = [batchOf(5), batchOf(1), batchOf(700)]
    for (const batch of batches) sequences.assign(batch)
    expect(batches.map(({ baseSequence }) => baseSequence)).toEqual([0, 5, 6])
    expect(batches.map(({ epoch }) => epoch)).toEqual([3, 3, 3])
    expect(sequences.nextSequence).toBe(706)
  })

  test('a batch that gets a number has to be sealed with it', () => {
    const sequences = adopted()
    const batch = batchOf(1)
    sequences.assign(batch)
    expect(batch.isSealed).toBe(false)
    expect(batch.identity).toBe(sequences.identity)
  })

  test('a batch may hold the wrap from 2147483647 to 0; the next one begins behind it', () => {
    const sequences = adopted()
    sequences.nextSequence = 2_147_483_646
    const batches = [batchOf(4), batchOf(1)]
    for (const batch of batches) sequences.assign(batch)
    expect(batches.map(({ baseSequence }) => baseSequence)).toEqual([2_147_483_646, 2])
  })

  test('an identity begins at its first epoch and sequence 0, unproven', () => {
    const sequences = adopted(7)
    expect(sequences).toMatchObject({ epoch: 7, nextSequence: 0, isProven: false, isRebasing: false })
  })

  test('without idempotence there is nothing to prove', () => {
    expect(new Sequences(false)).toMatchObject({ isProven: true, identity: null, epoch: -1 })
  })
})

describe('what the leader has accepted', () => {
  test('is doubted after a minute without an acknowledgement, and not before', () => {
    const sequences = adopted()
    sequences.prove(5_000)
    sequences.doubtAfterRest(65_000)
    expect(sequences.isProven).toBe(true)
    sequences.doubtAfterRest(65_001)
    expect(sequences.isProven).toBe(false)
    sequences.prove(70_000)
    sequences.doubtAfterRest(70_001)
    expect(sequences.isProven).toBe(true)
  })
})

describe('a rebase', () => {
  test('unproves at once, and leaves all numbers as they are until nothing is out', () => {
    const sequences = adopted()
    sequences.isProven = true
    const batch = batchOf(2)
    sequences.assign(batch)
    sequences.startRebase()
    expect(sequences).toMatchObject({ isProven: false, isRebasing: true, epoch: 0, nextSequence: 2 })
    expect(batch.baseSequence).toBe(0)
  })

  test('ends with the next epoch; what waits gets its numbers again when it leaves', () => {
    const sequences = adopted(3)
    const batches = [batchOf(2), batchOf(3)]
    for (const batch of batches) sequences.assign(batch)
    sequences.startRebase()
    expect(sequences.finishRebase(batches)).toBe(true)
    expect(sequences).toMatchObject({ epoch: 4, nextSequence: 0, isProven: false, isRebasing: false })
    for (const batch of batches) {
      expect(batch).toMatchObject({ baseSequence: -1, epoch: -1, identity: null, isSealed: false })
    }
    for (const batch of batches) sequences.assign(batch)
    expect(batches.map(({ baseSequence, epoch }) => [baseSequence, epoch])).toEqual([
      [0, 4],
      [2, 4],
    ])
  })

  test('uses epoch 32767 too, and only then asks for another identity', () => {
    const sequences = adopted(EPOCH_MAX - 1)
    sequences.startRebase()
    expect(sequences.finishRebase([])).toBe(true)
    expect(sequences.epoch).toBe(32_767)
    sequences.startRebase()
    expect(sequences.finishRebase([])).toBe(false)
    expect(sequences.identity).toBeNull()
    sequences.adopt(identity(0))
    expect(sequences).toMatchObject({ epoch: 0, nextSequence: 0, isProven: false, isRebasing: false })
  })
})
