import * as effect from "@effect/eslint-plugin/plugin"
import js from "@eslint/js"
import { defineConfig } from "eslint/config"
import tseslint from "typescript-eslint"
import { moduleImports } from "./scripts/lib/moduleImports.mjs"

/** Effect's house format, and its order of imports. */
const dprint = {
  indentWidth: 2,
  lineWidth: 120,
  semiColons: "asi",
  quoteStyle: "alwaysDouble",
  trailingCommas: "never",
  operatorPosition: "maintain",
  "arrowFunction.useParentheses": "force"
}

const byModule = (name, example) => ({ name, message: `Import the module: import * as ${example}` })

const files = [
  { regex: "^\\.{1,2}/(?!.*\\.js$)", message: "Relative imports end with .js" },
  { regex: "(^|/)index\\.js$", message: "Import the module, not the barrel." }
]
const noNode = { group: ["node:*"], message: "Use the services of @effect/platform." }

/** What may be imported by what ships: no barrels, which defeat tree shaking, and little that ties it to Node. */
const shipped = {
  paths: [
    byModule("effect", "Effect from \"effect/Effect\""),
    byModule("@optique/core", "constructs from \"@optique/core/constructs\""),
    byModule("@effect/platform", "Path from \"@effect/platform/Path\""),
    byModule("@effect/platform-node", "NodeContext from \"@effect/platform-node/NodeContext\""),
    byModule("effect-opencode", "RunEvent from \"effect-opencode/RunEvent\""),
    byModule("effect-opencode-testing", "ModelProvider from \"effect-opencode-testing/ModelProvider\"")
  ],
  patterns: [
    { group: ["@effect/platform-node", "@effect/platform-node/*"], message: "The user provides the platform." },
    noNode,
    ...files
  ],
  patternsOfPrograms: [noNode, ...files],
  patternsOfEdges: files
}

/** Functions of Effect 3 that Effect 4 lacks, each with what both have. */
const notInEffect4 = [
  ["zipRight", "Effect.andThen"],
  ["zipLeft", "Effect.tap"],
  ["repeatN", "Effect.repeat with { times }"],
  ["timeoutFail", "Effect.timeoutOption, in core internal/util/inTime.ts"],
  ["unlessEffect", "Effect.flatMap"],
  ["iterate", "a function that calls itself"]
].map(([property, better]) => ({ object: "Effect", property, message: `Use ${better}: Effect 4 lacks this.` }))

/** Forms that are refused in what ships, by topic: each has its own exceptions. */
const refused = {
  hiddenClock: [{
    selector: "NewExpression[callee.name='Date'][arguments.length=0]",
    message: "Use Clock or DateTime.now, so that TestClock works."
  }],
  // Effect 4 names the option otherwise.
  uncheckedClass: [{
    selector: "Property[key.name='disableValidation'], NewExpression[arguments.1.value=true]",
    message: "Build results and errors with internal/util/unchecked.ts."
  }],
  // Effect 4 names the sides otherwise.
  sidesOfEither: [{
    selector: "MemberExpression[object.name!=/^(Either|support)$/][property.name=/^(left|right)$/], " +
      "ObjectPattern > Property[key.name=/^(left|right)$/]",
    message: "Read an Either by Either.match, getOrElse or getOrUndefined."
  }],
  // Effect 4 writes Schemas and their failures otherwise.
  schemaText: [{
    selector:
      "Identifier[name='TreeFormatter'], CallExpression[callee.name='String'] > MemberExpression[property.name='ast']",
    message: "Take the text of a Schema from internal/util/schemaText.ts."
  }],
  // Effect 4 has other functions for fields of a Schema and for the way between a value and its JSON.
  formsOfSchemas: [{
    selector: "MemberExpression[object.name='Schema'][property.name=" +
      "/^(transform|transformOrFail|fromKey|rename|optionalWith|propertySignature|withDefaults|.*To(Optional|Required)|" +
      "with(Constructor|Decoding)Default)$/], Property[key.name='decodingFallback']",
    message: "Take it from the package's schemas.ts: internal/util/schemas.ts in core."
  }],
  // Effect 4 has no such modules.
  runtime: [{
    selector:
      "ImportDeclaration[source.value=/^effect\\u002f(FiberId|FiberRef|FiberRefs|MetricKey|DefaultServices)$/], " +
      "Identifier[name='RuntimeFiber'], MemberExpression[property.name=/^fiberId(With)?$/]",
    message: "Effect 4 lacks this: take it from internal/util/runtime.ts in core, or display/log.ts in cli."
  }],
  variables: [{
    selector: "Literal[value=/^(OPENCODE|XDG|BUN)_[A-Z_]+$/]",
    message: "Variables of OpenCode are named in internal/opencode/variables.ts."
  }]
}

const restricted = (...allowed) => ({
  "no-restricted-syntax": [
    "error",
    ...Object.entries(refused).flatMap(([topic, forms]) => allowed.includes(topic) ? [] : forms)
  ]
})

/**
 * The storeys of core, from the ground up. A folder may import those before it; `opencode` and `process` do not know each
 * other. Types of public data modules may be imported everywhere.
 */
const storeys = ["util", "opencode", "process", "launch", "run", "transport"]

/** Pure data and functions: what a run is asked, what it says, how it ended. */
const data = [
  "Contract",
  "Conversation",
  "OpenCodeError",
  "Permission",
  "RunConfig",
  "RunEvent",
  "RunOptions",
  "RunResult",
  "StructuredOutput",
  "TokenUsage",
  "Tool",
  "Version"
]

/** Effects behind scopes, which a run is composed of. */
const parts = [
  "Binary",
  "Containment",
  "FleetBudget",
  "HostEnvironment",
  "Isolation",
  "Leftovers",
  "Redaction",
  "StartupGate",
  "Transcript"
]

const upwards = (folder) => {
  const above = storeys.slice(storeys.indexOf(folder) + 1)
  return folder === "process" ? ["opencode", ...above] : above
}

/** Public modules whose values a folder may use. */
const open = { util: [], opencode: data, process: ["HostEnvironment", "OpenCodeError"] }
const usable = (folder) => open[folder] ?? [...data, ...parts]

/** One value per major version of OpenCode, from a list: a run asks for the dialect of its binary's version. */
const ofOneMajor = {
  regex: "/v\\d+/",
  message: "Take the dialect of the version from internal/opencode/dialects.ts: see docs/architecture.md."
}

const storey = (folder, files = `packages/core/src/internal/${folder}/**/*.ts`, more = [ofOneMajor]) => ({
  files: [files],
  rules: {
    "@typescript-eslint/no-restricted-imports": ["error", {
      patterns: [
        coreStandsAlone,
        ...more,
        ...(upwards(folder).length === 0 ? [] : [{
          regex: `^(?:\\.\\./)+(?:${upwards(folder).join("|")})/`,
          message: `internal/${folder} is below what it imports: see docs/architecture.md.`
        }]),
        {
          regex: `^(?:\\.\\./)+(?!(?:${usable(folder).join("|") || "-"})\\.js$)[A-Z]\\w*\\.js$`,
          caseSensitive: true,
          allowTypeImports: true,
          message: `internal/${folder} may use only the types of this public module: see docs/architecture.md.`
        }
      ]
    }]
  }
})

const coreStandsAlone = {
  group: ["effect-opencode", "effect-opencode/*", "effect-opencode-*"],
  message: "Core stands alone."
}

export default defineConfig(
  {
    ignores: ["**/node_modules/", "examples/**/workspace/", "**/dist/", "**/build/", "**/.docs-build/", "**/coverage/"]
  },
  {
    files: ["**/*.{ts,mjs}"],
    extends: [js.configs.recommended, tseslint.configs.recommended],
    plugins: { "@effect": effect },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "@effect/dprint": ["error", { config: dprint }],
      "object-shorthand": "error",
      "no-fallthrough": "off",
      "no-undef": "off",
      "require-yield": "off",
      "prefer-const": ["error", { destructuring: "all" }],
      "@typescript-eslint/array-type": ["error", { default: "generic", readonly: "generic" }],
      "@typescript-eslint/consistent-type-imports": ["error", { disallowTypeAnnotations: false }],
      "@typescript-eslint/no-empty-object-type": "off",
      "@typescript-eslint/no-explicit-any": "off",
      "@typescript-eslint/no-namespace": "off",
      "@typescript-eslint/no-unused-vars": ["error", {
        argsIgnorePattern: "^_",
        varsIgnorePattern: "^_",
        caughtErrors: "none",
        destructuredArrayIgnorePattern: "^_"
      }]
    }
  },
  {
    // What ships: no barrels (they defeat tree shaking), nothing that ties it to Node, no hidden input or output.
    files: ["packages/*/src/**/*.ts"],
    rules: {
      "no-console": "error",
      "no-restricted-imports": ["error", { paths: shipped.paths, patterns: shipped.patterns }],
      "no-restricted-globals": [
        "error",
        {
          name: "process",
          message: "Nothing reads the process directly: take it from HostEnvironment or the platform."
        },
        ...["window", "document", "name", "event", "status", "location", "localStorage", "fetch"].map((name) => ({
          name,
          message: "A global of the browser: is an import or a declaration missing?"
        })),
        { name: "Buffer", message: "Use Uint8Array and TextDecoder." },
        { name: "setTimeout", message: "Use Effect.sleep or Schedule, so that TestClock works." },
        { name: "setInterval", message: "Use Effect.repeat, so that TestClock works." }
      ],
      "no-restricted-properties": [
        "error",
        { object: "Date", property: "now", message: "Use Clock, so that TestClock works." },
        { object: "process", property: "env", message: "Use HostEnvironment, Config or the options." },
        { object: "globalThis", property: "process", message: "Nothing reads the process directly." },
        { object: "Math", property: "random", message: "Use Random." },
        ...notInEffect4
      ],
      ...restricted("schemaText", "variables")
    }
  },
  {
    // Tests too, so that a script can turn them into those of another version of Effect.
    files: ["packages/*/{test,dtslint}/**/*.ts"],
    plugins: { local: { rules: { "module-imports": moduleImports } } },
    rules: {
      "local/module-imports": ["error", ["effect", "@effect/platform", "@effect/platform-node"]],
      "no-restricted-syntax": ["error", ...refused.sidesOfEither]
    }
  },
  {
    // The one module that reads the process, behind a reference that a test can replace.
    files: ["packages/core/src/HostEnvironment.ts"],
    rules: { "no-restricted-properties": "off" }
  },
  {
    // A program provides its platform: Node's, by module path, because the barrel loads all of it.
    files: ["packages/cli/src/**/*.ts"],
    rules: { "no-restricted-imports": ["error", { paths: shipped.paths, patterns: shipped.patternsOfPrograms }] }
  },
  {
    // The engine of a cluster runs on Node's sockets.
    files: ["packages/cluster/src/internal/engine.ts"],
    rules: { "no-restricted-imports": ["error", { paths: shipped.paths, patterns: shipped.patternsOfPrograms }] }
  },
  {
    // The runner as a program: `main.ts` alone touches Node itself.
    files: ["packages/cluster/src/internal/bin/main.ts"],
    rules: {
      "no-restricted-imports": ["error", { paths: shipped.paths, patterns: shipped.patternsOfEdges }],
      "no-restricted-globals": "off",
      "no-restricted-properties": "off"
    }
  },
  {
    // Node's own reader of variables, a pure function.
    files: ["packages/cli/src/host/dotenv.ts"],
    rules: { "no-restricted-imports": ["error", { paths: shipped.paths, patterns: shipped.patternsOfEdges }] }
  },
  {
    // The one module of a program that touches Node itself.
    files: ["packages/cli/src/host/node.ts"],
    rules: {
      "no-restricted-imports": ["error", { paths: shipped.paths, patterns: shipped.patternsOfEdges }],
      "no-restricted-globals": "off",
      "no-restricted-properties": "off"
    }
  },
  {
    // Everything of ours points at core; core points at nothing of ours.
    files: ["packages/core/src/**/*.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": ["error", {
        patterns: [coreStandsAlone, ofOneMajor]
      }]
    }
  },
  {
    files: data.map((name) => `packages/core/src/${name}.ts`),
    rules: {
      "@typescript-eslint/no-restricted-imports": ["error", {
        patterns: [
          coreStandsAlone,
          ofOneMajor,
          {
            regex: "^\\./internal/(?!opencode/|util/)",
            message: "A data module imports internal/opencode and internal/util only: see docs/architecture.md."
          },
          {
            regex: `^\\./(?!(?:${data.join("|")})\\.js$)[A-Z]\\w*\\.js$`,
            caseSensitive: true,
            allowTypeImports: true,
            message: "A data module imports data modules: see docs/architecture.md."
          }
        ]
      }]
    }
  },
  ...storeys.map((folder) => storey(folder)),
  // The lists of majors: their dialects, and what is to be checked about each.
  storey("opencode", "packages/core/src/internal/opencode/dialects.ts", []),
  storey("opencode", "packages/core/src/internal/opencode/contracts.ts", []),
  {
    files: ["packages/core/src/**/*.ts"],
    rules: restricted()
  },
  // What is hidden in one place.
  ...[
    ["core/src/internal/opencode/variables.ts", "variables"],
    ["core/src/internal/util/runtime.ts", "runtime"],
    ["core/src/internal/util/schemas.ts", "formsOfSchemas"],
    ["core/src/internal/util/schemaText.ts", "schemaText"],
    ["core/src/internal/util/unchecked.ts", "uncheckedClass"],
    ["testing/src/internal/schemas.ts", "formsOfSchemas"],
    ["cli/src/display/log.ts", "runtime"]
  ].map(([place, topic]) => ({ files: [`packages/${place}`], rules: restricted(topic) }))
)
