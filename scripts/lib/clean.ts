/** Takes out of a recording what is different in every run: ids, times, hashes, ports, numbers of processes. */
import type { Contract } from "effect-opencode"

/** Replaces each different match by a numbered one, so that equal ones stay equal. */
const numbered = (pattern: RegExp, name: (match: string, index: number) => string) => {
  const seen = new Map<string, string>()
  return (text: string): string =>
    text.replace(pattern, (match) => {
      const known = seen.get(match)
      if (known !== undefined) return known
      const next = name(match, seen.size + 1)
      seen.set(match, next)
      return next
    })
}

/** The first moment of a cleaned recording. */
const start = 1_700_000_000_000

const cleaner = () => {
  const rules = [
    numbered(
      /\b(?:ses|msg|prt|per|que|evt|err|call|tool|sh|frm)_[0-9a-f]{8}\w*/g,
      (match, index) => `${match.slice(0, match.indexOf("_"))}_${String(index).padStart(10, "0")}`
    ),
    numbered(/\b1[6-9]\d{11}\b/g, (_, index) => String(start + index)),
    numbered(/\b[0-9a-f]{40}\b/g, (_, index) => String(index).padStart(40, "0")),
    numbered(/timestamp=\S+/g, () => "timestamp=2026-01-01T00:00:00.000Z"),
    numbered(/\brun=[0-9a-f]+\b/g, () => "run=00000001"),
    numbered(/\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?/g, () => "2026-01-01T00:00:00"),
    numbered(/\+\d+ms\b/g, () => "+1ms"),
    numbered(/\bhttp\.span=\d+/g, () => "http.span=1"),
    numbered(/\[\d\d:\d\d:\d\d\.\d+\] (\w+) \(#\d+\)/g, () => "[00:00:00.000] INFO (#1)"),
    numbered(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, () => "00000000-0000-0000-0000-000000000000"),
    // It has the directory in it.
    numbered(/(?<="(?:previous|next)": ?")[\w=-]+/g, () => "cursor"),
    // The build of 2.x for the tests has other names than the official one.
    numbered(/\bshuvcode\b/g, () => "opencode"),
    numbered(/(?<=\b\d+\.\d+\.\d+)-shuv\.\d+\b/g, () => ""),
    numbered(/\b127\.0\.0\.1:\d+/g, () => "127.0.0.1:1234"),
    numbered(/(?<="slug": ?")[\w-]+/g, () => "slug"),
    numbered(
      /\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? \w+ \w+ \d{4}(?: \d\d:\d\d:\d\d GMT)?/g,
      () => "Thu, 01 Jan 2026 00:00:00 GMT"
    )
  ]
  return (text: string): string => rules.reduce((changed, rule) => rule(changed), text)
}

export const clean = (recording: Contract.Recording): Contract.Recording => {
  const text = cleaner()
  const rest = (value: unknown) => JSON.parse(text(JSON.stringify(value)))
  return {
    scenario: recording.scenario,
    processes: Object.fromEntries(
      Object.entries(recording.processes).map(([name, process]) => [name, {
        ...process,
        args: process.args.map(text),
        stdout: text(process.stdout),
        stderr: text(process.stderr)
      }])
    ),
    requests: rest(recording.requests),
    observed: rest(recording.observed)
  }
}
