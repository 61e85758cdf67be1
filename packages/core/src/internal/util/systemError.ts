import type { PlatformError } from "@effect/platform/Error"

const bigger = "free some space, or use a directory on another disk (`TMPDIR` for temporary ones)"

/** What to do about the system's error codes, which the platform reports as `Unknown`. */
const hints: { readonly [code: string]: string } = {
  E2BIG: "arguments and environment are too long together; set `promptVia` to \"stdin\"",
  EAGAIN: "the system cannot create more processes or threads; lower `concurrency`, or raise `ulimit -u`",
  EDQUOT: `the disk quota is used up; ${bigger}`,
  EIO: "the disk reports errors",
  EMFILE: "too many files are open in this process; lower `concurrency`, or raise `ulimit -n`",
  ENFILE: "too many files are open on this machine; lower `concurrency`",
  ENOEXEC: "the file is not a program for this machine",
  ENOMEM: "the machine is out of memory; lower `concurrency`",
  ENOSPC: `the disk is full; ${bigger}`,
  EROFS: "the file system is read-only; use a directory on another one (`TMPDIR` for temporary ones)",
  ETXTBSY: "the file is being written; wait until the installation has finished"
}

const isCode = (code: unknown): code is string => typeof code === "string" && /^E[A-Z0-9]+$/.test(code)

const known = new RegExp(`\\b(${Object.keys(hints).join("|")})\\b`)

/** The code of an error of the operating system. */
const codeOf = (error: PlatformError): string | undefined => {
  const cause = error.cause
  if (typeof cause === "object" && cause !== null && "code" in cause && isCode(cause.code)) return cause.code
  return known.exec(error.description ?? "")?.[0]
}

/** The reason of a failed system call: the platform's name for it, else the system's error code. */
export const reasonOf = (error: PlatformError): string => {
  if (error._tag !== "SystemError") return error._tag
  return error.reason === "Unknown" ? codeOf(error) ?? error.reason : error.reason
}

export const hintOf = (reason: string): string | undefined => Object.hasOwn(hints, reason) ? hints[reason] : undefined

/** The reason, with advice. */
export const describe = (error: PlatformError): string => {
  const reason = reasonOf(error)
  const hint = hintOf(reason)
  return hint === undefined ? reason : `${reason}: ${hint}`
}
