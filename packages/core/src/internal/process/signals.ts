/** The signals of Linux by their numbers, from 1 on. */
const names = [
  ...["HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM"],
  ...["TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF"],
  ...["WINCH", "IO", "PWR", "SYS"]
]

/** The signal that an exit code of a shell stands for: 128 and the number of the signal. */
export const ofExitCode = (code: number): string | undefined => {
  const name = names[code - 129]
  return name === undefined ? undefined : `SIG${name}`
}
