import { expect, test } from 'vitest'
import { kafkaError } from '../../src/errors.ts'
import { FirstAnswer } from '../../src/net/first-answer.ts'

const never = () => kafkaError('INTERNAL', 'nobody aborted')

test('all who wait are told when it came, or that it failed', async () => {
  const first = new FirstAnswer()
  expect(first.isAwaited).toBe(false)
  const came = [first.wait(undefined, never), first.wait(undefined, never)]
  expect(first.isAwaited).toBe(true)
  first.came()
  await Promise.all(came)
  expect(first.isAwaited).toBe(false)

  const error = kafkaError('CLOSED', 'closed')
  const failed = first.wait(undefined, never)
  first.failed(error)
  await expect(failed).rejects.toBe(error)
  expect(first.isAwaited).toBe(false)
})

test('an aborted wait ends alone, with the reason of that moment', async () => {
  const first = new FirstAnswer()
  const controller = new AbortController()
  let reason = kafkaError('ABORTED', 'too early')
  const ended = first.wait(controller.signal, () => reason)
  const other = first.wait(undefined, never)
  reason = kafkaError('BOOTSTRAP_FAILED', 'nobody there')
  controller.abort()
  await expect(ended).rejects.toBe(reason)
  expect(first.isAwaited).toBe(true)
  first.came()
  await other
})
