/** Offers the tools of servers through a tool that runs code, instead of one by one (1.18.33). */

export const codeMode = "OPENCODE_EXPERIMENTAL_CODE_MODE"
