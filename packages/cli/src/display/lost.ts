import { plural } from "./plural.js"

/** What of a run is not known: lines that could be events and cannot be read. Nothing if there are none. */
export const lost = ({ lostLines = 0 }: { readonly lostLines?: number | undefined }): ReadonlyArray<string> =>
  lostLines === 0 ? [] : [`${plural(lostLines, "event")} lost`]
