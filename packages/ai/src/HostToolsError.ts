/**
 * The error of host tools: tools that the agent could not have used.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Why the agent cannot use the tools.
 *
 * - `"not-connected"`: OpenCode did not list the tools, or did not load the plugin of a warm server. It reports that
 *   nowhere and goes on without them (1.18.33), so the run is ended
 * - `"name-clash"`: two tools, or a tool server of the run and the host's, would have the same name in OpenCode
 * - `"pure"`: a run on a warm server without plugins, which need one to tell the sessions apart
 * - `"attached"`: the server is already running, and was not given the configuration of `HostTools.plugin`
 * - `"version"`: a server of OpenCode 2 is not given the tools of a program: anyone who has its token can send a call in the
 *   name of any session (2.0.14)
 * - `"conflict"`: somebody else has claimed the session of the run. Calls of this session are refused
 * - `"options"`: an option of the layer is not valid, or its server does not listen on a TCP port
 * - `"plugin"`: the file of the plugin could not be written
 *
 * @since 0.1.0
 * @category models
 */
export type Reason = typeof Reason.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const Reason = Schema.Literal(
  "not-connected",
  "name-clash",
  "pure",
  "attached",
  "version",
  "conflict",
  "options",
  "plugin"
)

/**
 * The agent could not use the tools of the host.
 *
 * @since 0.1.0
 * @category errors
 */
export class HostToolsError extends Schema.TaggedError<HostToolsError>("effect-opencode-ai/HostToolsError")(
  "HostToolsError",
  { reason: Reason, detail: Schema.String, cause: Schema.optional(Schema.Defect) }
) {
  /** What happened, for people. */
  override get message(): string {
    return `${this.detail} (${this.reason})`
  }
}
