import { plural } from "./plural.js"

/** A note on lost events, the lines that look like events but cannot be read. Empty if there are none. */
export const lost = ({ lostLines = 0 }: { readonly lostLines?: number | undefined }): ReadonlyArray<string> =>
  lostLines === 0 ? [] : [`${plural(lostLines, "event")} lost`]
