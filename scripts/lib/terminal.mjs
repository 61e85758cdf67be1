/**
 * A terminal that understands what this repository's programs print: text, new lines, moving up, erasing. An unknown
 * sequence is an error, so that a picture never shows something else than the program printed.
 */
export const makeTerminal = (width) => {
  const rows = [[]]
  let row = 0
  let column = 0
  let wraps = true
  let rest = ""

  const lineFeed = () => {
    row++
    if (row === rows.length) rows.push([])
  }

  const put = (character) => {
    if (column === width) {
      if (!wraps) return
      column = 0
      lineFeed()
    }
    const line = rows[row]
    while (line.length < column) line.push(" ")
    line[column++] = character
  }

  const control = (sequence) => {
    const parameter = sequence.slice(2, -1)
    const command = sequence.at(-1)
    if (command === "A") row = Math.max(0, row - Number(parameter || 1))
    else if (command === "K" && parameter === "2") rows[row] = []
    else if (command === "J" && parameter === "") {
      rows[row].length = Math.min(rows[row].length, column)
      rows.length = row + 1
    } else if (parameter === "?7") wraps = command === "h"
    else if (parameter !== "?25") throw new Error(`unknown sequence ${JSON.stringify(sequence)}`)
  }

  return {
    write: (text) => {
      const all = rest + text
      rest = ""
      for (let at = 0; at < all.length;) {
        const from = all.slice(at)
        if (from[0] === "\u001b") {
          const sequence = /^.\[[?\d;]*[A-Za-z]/.exec(from)
          if (sequence === null) {
            if (from.length > 16) throw new Error(`unknown sequence ${JSON.stringify(from.slice(0, 16))}`)
            rest = from
            return
          }
          control(sequence[0])
          at += sequence[0].length
        } else {
          const character = String.fromCodePoint(from.codePointAt(0))
          if (character === "\r") column = 0
          else if (character === "\n") lineFeed()
          else if (character < " ") throw new Error(`unknown control character ${JSON.stringify(character)}`)
          else put(character)
          at += character.length
        }
      }
    },
    /** All lines since the start, the ones that have scrolled away included. */
    lines: () => rows.map((line) => line.join("").trimEnd())
  }
}
