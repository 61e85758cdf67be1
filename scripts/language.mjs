/**
 * Fails on phrases that read as translated, in documents, comments, messages and test names.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { finish, root } from "./lib/repository.mjs"

const patterns = [
  [
    /(?<!\b(?:there|that|what|which|it|this|where) )\b(?:is|are|was|were) no (?!longer\b)(?=[a-z])/gi,
    "\"is not a …\", \"has no …\""
  ],
  [/\bwhoever\b/gi, "name who it is"],
  [/\b(?:tells?|told) of\b/gi, "\"reports\", \"names\""],
  [/\bgoes with (?:the|its|it)\b/gi, "\"is removed with\", \"ends with\""],
  [/\bits own ones\b/gi, "\"its own\""],
  [/\bas ever\b/gi, "leave it out"],
  [/\bso to say\b/gi, "leave it out"],
  [/\b(?:an?|one) \w+ too many\b/gi, "\"unexpected …\""],
  [/\bbrings? it about\b/gi, "say what it does"],
  [/(?<!\.|=> |const )\bunasked\b/gi, "\"by default\""],
  [
    /(?<!\b(?:there|that|what|which|it|this|where) )\b(?:is|are|was|were) none\b/gi,
    "\"is not one\", \"does not count\""
  ],
  [/\bwhere there (?:is|are|was|were) (?:no|none|nothing)\b/gi, "\"without …\", \"if there is no …\""],
  [/\b(?:go|goes|going|went|gone) on in\b/gi, "\"continue\""],
  [/\btak(?:es?|ing) no notice\b/gi, "\"ignores\""],
  [/\banew\b/gi, "\"again\", \"new\""],
  [/\bin the place of\b/gi, "\"instead of\", \"replaces\""],
  [/\bbehind each other\b/gi, "\"one after the other\", \"adjacent\""],
  [/\b(?:has|have|had) come of\b/gi, "\"the outcome of\""],
  [/\blive to see\b/gi, "say when it ended"],
  [/\bthose at work\b/gi, "\"running …\""],
  [/\bas (?:it|they) stands?\b/gi, "\"unchanged\""],
  [/\bwhat (?:is|was) known of\b/gi, "\"the state of\", \"known facts about\""],
  [/\bnothing but itself\b/gi, "\"nothing else\""]
]

const read = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "*.ts", "*.mjs", "*.md", "*.yml"], {
  cwd: root,
  encoding: "utf8"
})
const own = "scripts/language.mjs"
const files = read.split("\n").filter((file) =>
  file !== "" && file !== own && !/(^|\/)(CHANGELOG\.md|__snapshots__|snapshots|fixtures)/.test(file) &&
  fs.existsSync(path.join(root, file))
)
const problems = files.flatMap((file) =>
  fs.readFileSync(path.join(root, file), "utf8").split("\n").flatMap((line, index) =>
    patterns.flatMap(([pattern, better]) =>
      [...line.matchAll(pattern)].map(([found]) => `${file}:${index + 1}: "${found.trim()}": ${better}`)
    )
  )
)
finish(problems, `${files.length} files read`)
