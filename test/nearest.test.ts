import { describe, expect, test } from 'vitest'
import { nearestNames } from '../src/nearest.ts'

describe('nearestNames', () => {
  test('two letters swapped', () => {
    expect(nearestNames('ordres', ['payments', 'orders', 'clicks'])).toEqual(['orders'])
  })

  test('another way of writing the same words comes before any typing mistake', () => {
    expect(nearestNames('bootstrap.servers', ['bootstrapServer', 'bootstrapServers'])).toEqual([
      'bootstrapServers',
      'bootstrapServer',
    ])
  })

  test('a name within another comes after typing mistakes', () => {
    expect(nearestNames('orders', ['prod.orders.v1', 'order', 'payments'])).toEqual(['order', 'prod.orders.v1'])
  })

  test('nothing is near when nothing is', () => {
    expect(nearestNames('lingerMs', ['acks', 'clientId', 'batchSize'])).toEqual([])
    expect(nearestNames('', ['acks'])).toEqual([])
  })

  test('never the name itself, never one twice, never more than three', () => {
    expect(nearestNames('topic1', ['topic1', 'topic2', 'topic2', 'topic3', 'topic4', 'topic5'])).toEqual([
      'topic2',
      'topic3',
      'topic4',
    ])
  })

  test('a short name is near only to what differs by one letter', () => {
    expect(nearestNames('ack', ['acks', 'tls', 'back'])).toEqual(['acks', 'back'])
  })
})
