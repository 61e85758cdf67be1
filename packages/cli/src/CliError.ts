/** The errors of this program. */
import * as Schema from "effect/Schema"

/** An error of the command line itself: invalid arguments, an unreadable file. */
export class CliError extends Schema.TaggedError<CliError>("effect-opencode-cli/CliError")("CliError", {
  reason: Schema.String,
  /** What to do. */
  hint: Schema.optional(Schema.String),
  /** Default: that of a mistake in the usage. */
  exitCode: Schema.optional(Schema.Number),
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return this.reason
  }
}

/** The failure of a command has already been shown; only its exit code remains. */
export class ReportedError extends Schema.TaggedError<ReportedError>("effect-opencode-cli/ReportedError")(
  "ReportedError",
  { exitCode: Schema.Number }
) {}
