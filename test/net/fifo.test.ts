import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fifo } from '../../src/net/fifo.ts'

test('what goes in first comes out first, whatever the ring has to do for it', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constant('shift' as const), fc.nat()), { maxLength: 200 }), (steps) => {
      const fifo = new Fifo<{ value: number }>()
      const model: { value: number }[] = []
      for (const step of steps) {
        if (step === 'shift') {
          expect(fifo.shift()).toBe(model.shift())
        } else {
          const item = { value: step }
          fifo.push(item)
          model.push(item)
        }
        expect(fifo.length).toBe(model.length)
        expect(fifo.peek()).toBe(model[0])
        const seen: { value: number }[] = []
        fifo.forEach((item) => {
          seen.push(item)
        })
        expect(seen).toEqual(model)
      }
    }),
  )
})

test('a cleared queue is as new', () => {
  const fifo = new Fifo<string>()
  for (const item of 'abcdefghijk') fifo.push(item)
  fifo.clear()
  expect([fifo.length, fifo.peek(), fifo.shift()]).toEqual([0, undefined, undefined])
  fifo.push('z')
  expect(fifo.shift()).toBe('z')
})
