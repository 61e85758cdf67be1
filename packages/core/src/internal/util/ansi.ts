// eslint-disable-next-line no-control-regex -- the escape character is what begins an ANSI code
const codes = /\u001b\[[0-9;?]*[ -/]*[@-~]/g

export const strip = (text: string): string => text.replace(codes, "")
