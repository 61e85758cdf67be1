/** CSV as in RFC 4180: the first row has the column names, quoted fields can contain commas and line breaks. */
import type { Info } from "csv-parse/sync"
import { CsvError, parse as parseCsv } from "csv-parse/sync"
import type { Fields, Member, Trouble } from "./located.js"

interface Cell {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** Converts ascending byte offsets into UTF-16 offsets. */
const offsets = (text: string) => {
  const bytes = new TextEncoder().encode(text)
  const isAscii = bytes.length === text.length
  const decoder = new TextDecoder()
  let [before, offset] = [0, 0]
  return {
    of: (byte: number): number => {
      if (isAscii) return byte
      offset += decoder.decode(bytes.subarray(before, byte)).length
      before = byte
      return offset
    }
  }
}

const isBreak = (character: string | undefined): boolean => character === "\n" || character === "\r"

const reasons: { readonly [code: string]: string } = {
  CSV_QUOTE_NOT_CLOSED: "the quote that opens this field is never closed",
  CSV_INVALID_CLOSING_QUOTE:
    "a quote in this field is followed by something other than a comma; double it for a literal quote",
  INVALID_OPENING_QUOTE: "a quote in the middle of this field; put the whole field in quotes and double the quote"
}

const others: ReadonlyArray<readonly [separator: string, called: string]> = [[";", "semicolons"], ["\t", "tabs"]]

/** The separator of the header's columns, if it is not a comma. Quoted text does not count. */
const otherSeparator = (text: string): string | undefined => {
  const [header = ""] = text.replace(/^\uFEFF/, "").replace(/"(?:[^"]|"")*"/g, "").trimStart().split(/\r?\n/, 1)
  const count = (separator: string): number => header.split(separator).length - 1
  return others.find(([separator]) => count(separator) > count(","))?.[1]
}

/** The rows up to the first unreadable one, and the problems. */
export const parse = (
  text: string
): { readonly rows: ReadonlyArray<Fields>; readonly troubles: ReadonlyArray<Trouble> } => {
  const separator = otherSeparator(text)
  if (separator !== undefined) {
    return {
      rows: [],
      troubles: [{
        offset: 0,
        reason: `the columns are separated by ${separator}, as Excel writes them in some countries; ` +
          "save the file with commas between the columns"
      }]
    }
  }
  const { of } = offsets(text)
  const records: Array<ReadonlyArray<Cell>> = []
  const troubles: Array<Trouble> = []
  let cells: Array<Cell> = []
  let last = 0

  const startOf = (isFirst: boolean): number => {
    if (!isFirst) return last + 1
    let start = last
    while (isBreak(text[start])) start++
    return start
  }

  try {
    parseCsv(text, {
      record_delimiter: ["\r\n", "\n"],
      relax_column_count: true,
      skip_empty_lines: true,
      cast: (field: string, info: Info & { readonly bytes: number }) => {
        const end = of(info.bytes)
        cells.push({ start: startOf(cells.length === 0), end, text: field })
        last = end
        return field
      },
      on_record: () => {
        records.push(cells)
        cells = []
        return null
      }
    })
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    troubles.push({ offset: startOf(cells.length === 0), reason: reasons[error.code] ?? error.message })
  }

  const [header, ...body] = records
  if (header === undefined) return { rows: [], troubles }
  const names = new Set<string>()
  for (const { start, text } of header) {
    const name = text.trim()
    if (name === "") troubles.push({ offset: start, reason: "a column without a name" })
    else if (names.has(name)) {
      troubles.push({ offset: start, reason: `duplicate column ${JSON.stringify(name)}` })
    }
    names.add(name)
  }
  const rows = body.map((cells): Fields => {
    const [first, end] = [cells[0]!, cells[cells.length - 1]!]
    if (cells.length !== header.length) {
      troubles.push({
        offset: (cells[header.length] ?? first).start,
        reason: `the header has ${header.length} columns, this row has ${cells.length}`
      })
    }
    return {
      _tag: "Record",
      start: first.start,
      end: end.end,
      members: header.flatMap((column, index): ReadonlyArray<Member> => {
        const cell = cells[index]
        return cell === undefined ? [] : [{
          name: column.text.trim(),
          key: { start: column.start, end: column.end },
          value: { _tag: "Scalar", value: cell.text, start: cell.start, end: cell.end }
        }]
      })
    }
  })
  return { rows, troubles }
}
