/** The pages of the site that people write, in the order of the navigation; `pnpm doc-links` checks it against docs/. */
export const navigation = [
  {
    title: "Start",
    pages: [
      ["README.md", "What it is"],
      ["docs/first-programs.md", "First programs"],
      ["docs/configuration.md", "Configuration"],
      ["docs/parallel.md", "Many runs"],
      ["docs/comparison.md", "Comparison"]
    ]
  },
  {
    title: "Guides",
    pages: [
      ["docs/sessions.md", "Conversations, structured answers"],
      ["docs/server.md", "Runs over a server"],
      ["docs/testing.md", "Testing"],
      ["docs/observability.md", "Traces and metrics"],
      ["docs/encoding.md", "Runs in other processes"],
      ["docs/recipes.md", "Recipes"],
      ["packages/cli/README.md", "Command line"]
    ]
  },
  {
    title: "Other packages",
    pages: [
      ["docs/ai.md", "An agent as a model"],
      ["docs/host-tools.md", "Tools of the program"],
      ["docs/cluster.md", "Cluster"]
    ]
  },
  {
    title: "Safety",
    pages: [
      ["docs/permissions.md", "Permissions"],
      ["docs/sandbox.md", "Sandbox"],
      ["docs/secrets.md", "Secrets"],
      ["SECURITY.md", "Threat model"]
    ]
  },
  {
    title: "Reference",
    pages: [
      ["docs/reference.md", "Options, results, events, errors"],
      ["docs/processes.md", "Processes and isolation"],
      ["docs/outcomes.md", "Outcome of every fault"],
      ["docs/performance.md", "What runs cost"],
      ["bench/results.md", "Benchmark"]
    ]
  },
  {
    title: "Versions",
    pages: [
      ["docs/compatibility.md", "Compatibility"],
      ["docs/versions.md", "Versions of OpenCode"],
      ["docs/conformance.md", "Conformance"]
    ]
  },
  {
    title: "Contribute",
    pages: [
      ["CONTRIBUTING.md", "Contributing"],
      ["docs/architecture.md", "Architecture"]
    ]
  }
]
