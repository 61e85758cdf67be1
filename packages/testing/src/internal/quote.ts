const length = 80

/** The beginning of a text, in quotes and on one line. */
export const beginning = (text: string): string =>
  JSON.stringify(text.length <= length ? text : `${text.slice(0, length)}…`)

const shown = 10

/** Lists what is available instead of what was requested. */
export const there = (what: string, texts: ReadonlyArray<string>): string =>
  texts.length === 0
    ? `${what}: none.`
    : `${what}: ${texts.slice(0, shown).map(beginning).join(", ")}${
      texts.length > shown ? ` and ${texts.length - shown} more` : ""
    }.`
