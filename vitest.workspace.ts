import type { TestProjectConfiguration } from "vitest/config"

/** Settings of the projects that run real processes: one file at a time, and patience. */
const processes = {
  pool: "forks",
  poolOptions: { forks: { singleFork: true } },
  testTimeout: 180_000,
  hookTimeout: 60_000
} as const

const projects: Array<TestProjectConfiguration> = [
  {
    test: {
      name: "unit",
      include: ["packages/*/test/**/*.test.ts"],
      exclude: ["**/node_modules/**", "packages/*/test/integration/**", "packages/*/test/faults/**"],
      testTimeout: 20_000
    }
  },
  {
    test: {
      ...processes,
      name: "integration",
      include: ["packages/*/test/integration/**/*.test.ts"]
    }
  },
  {
    test: {
      ...processes,
      name: "faults",
      include: ["packages/*/test/faults/**/*.test.ts"]
    }
  },
  {
    test: {
      ...processes,
      name: "docs",
      include: ["examples/test/**/*.test.ts"]
    }
  }
]

export default projects
