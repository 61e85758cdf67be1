/** The text without code, because a link in an example does not count. */
export const prose = (text) => text.replace(/^(```+)[^\n]*\n[\s\S]*?^\1\s*$/gm, "")

/** The anchor that code forges generate for a heading. */
export const slug = (heading) =>
  heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(
    /\s/g,
    "-"
  )
