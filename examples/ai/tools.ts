import { LanguageModel, Toolkit } from "@effect/ai"
import { Console, Effect } from "effect"
import { OpenCodeTool } from "effect-opencode-ai"

export const program = LanguageModel.generateText({
  prompt: "Which tests fail?",
  toolkit: Toolkit.make(OpenCodeTool.Bash)
}).pipe(
  Effect.tap(({ toolCalls }) => Effect.forEach(toolCalls, ({ params }) => Console.log(params.command))),
  Effect.map(({ text }) => text)
)
