// Nearest: which of the names that exist was probably meant by one that does not.
// From: producer/options.ts (option names), net/cluster.ts (topics). Imports nothing.

const NAMES_AT_MOST = 3

/**
 * The up to three candidates nearest to `name`, nearest first. Near is: the same but for case and `.`, `_`, `-`; or reached by a few
 * insertions, deletions, changes and swaps of neighbours (one for each three characters); or one containing the other, as `orders`
 * and `prod.orders` do. The name itself is not among them.
 */
export function nearestNames(name: string, candidates: Iterable<string>): string[] {
  const wanted = plain(name)
  const limit = Math.max(1, Math.floor(wanted.length / 3))
  const near: { readonly candidate: string; readonly distance: number }[] = []
  for (const candidate of new Set(candidates)) {
    if (candidate === name) continue
    const distance = distanceOf(wanted, plain(candidate), limit)
    if (distance <= limit + 1) near.push({ candidate, distance })
  }
  near.sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
  return near.slice(0, NAMES_AT_MOST).map(({ candidate }) => candidate)
}

const plain = (name: string): string => name.toLowerCase().replaceAll(/[._-]/g, '')

// A name within another ranks behind everything that editing reaches, whatever the difference in length.
function distanceOf(wanted: string, candidate: string, limit: number): number {
  const edits = editDistance(wanted, candidate, limit)
  if (edits <= limit) return edits
  const [short, long] = wanted.length < candidate.length ? [wanted, candidate] : [candidate, wanted]
  return short.length >= 3 && long.includes(short) ? limit + 1 : Number.POSITIVE_INFINITY
}

// Damerau-Levenshtein with adjacent swaps, three rows at a time; gives up as soon as a whole row is above the limit, since a cluster
// may have a hundred thousand topics.
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return Number.POSITIVE_INFINITY
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    let smallest = i
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + change)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, beforeLast[j - 2]! + 1)
      row.push(cost)
      smallest = Math.min(smallest, cost)
    }
    if (smallest > limit) return Number.POSITIVE_INFINITY
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
