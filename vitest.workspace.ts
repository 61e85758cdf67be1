import type { TestProjectConfiguration } from "vitest/config"

/** Only a test that hangs takes as long: a busy machine can be twenty times slower than a quiet one. */
const patience = { testTimeout: 180_000, hookTimeout: 180_000 } as const

/** Settings of the projects that run real processes: each file in a process of its own, whose variables its tests set. */
const processes = { ...patience, pool: "forks" } as const

/** One file at a time. */
const alone = { ...processes, poolOptions: { forks: { singleFork: true } } } as const

const projects: Array<TestProjectConfiguration> = [
  {
    test: {
      ...patience,
      name: "unit",
      setupFiles: ["vitest.setup.ts"],
      include: ["packages/*/test/**/*.test.ts"],
      exclude: ["**/node_modules/**", "packages/*/test/integration/**", "packages/*/test/faults/**"]
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
      ...alone,
      name: "faults",
      include: ["packages/*/test/faults/**/*.test.ts"]
    }
  },
  {
    test: {
      ...alone,
      name: "docs",
      setupFiles: ["examples/test/setup.ts"],
      include: ["examples/test/**/*.test.ts"]
    }
  }
]

export default projects
