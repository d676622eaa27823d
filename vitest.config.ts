import { defineConfig } from 'vitest/config'

// Real servers start in some tests, so the limits are generous; two workers, because machines that run this are small.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    // Commands that tests run speak plainly, also where CI asks for colour.
    env: { NO_COLOR: '1' },
  },
})
