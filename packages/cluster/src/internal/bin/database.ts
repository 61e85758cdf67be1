/** How the runner reaches PostgreSQL. */
import * as Redacted from "effect/Redacted"

/**
 * A firewall that forgets a connection leaves statements without an answer: they fail after a minute, unless
 * `query_timeout` in the URL is another time.
 */
export const urlOf = (url: string): Redacted.Redacted => {
  const parsed = new URL(url)
  if (!parsed.searchParams.has("query_timeout")) parsed.searchParams.set("query_timeout", "60000")
  return Redacted.make(parsed.href)
}
