// Test tiers, one project each: see test/README.md for which test belongs where.
import { defineConfig } from 'vitest/config'

const slow = { testTimeout: 120_000, hookTimeout: 180_000 }

export default defineConfig({
  test: {
    passWithNoTests: false,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text', 'json-summary'],
      thresholds: { lines: 90 },
    },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/{integration,scenario,oracle,containers}/**'],
        },
      },
      { test: { name: 'scenario', include: ['test/scenario/**/*.test.ts'], testTimeout: 30_000 } },
      { test: { name: 'oracle', include: ['test/oracle/**/*.test.ts'], ...slow } },
      { test: { name: 'integration', include: ['test/integration/**/*.test.ts'], ...slow, fileParallelism: false } },
      { test: { name: 'containers', include: ['test/containers/**/*.test.ts'], ...slow, fileParallelism: false } },
    ],
  },
})
