import { defineConfig } from "vitest/config"
import projects from "./vitest.workspace.js"

// `projects` here is the same array that vitest.workspace.ts exports: it silences vitest 3's deprecation warning.
export default defineConfig({
  test: {
    minWorkers: 1,
    maxWorkers: 2,
    projects
  }
})
