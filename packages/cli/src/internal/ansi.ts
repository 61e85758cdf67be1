// eslint-disable-next-line no-control-regex
const codes = /\u001b\[[0-9;]*m/g

/** The text without the codes that colour it. */
export const stripAnsi = (text: string): string => text.replace(codes, "")
