/** The arguments, environment and stdin of a process. */
export interface Invocation {
  readonly args: ReadonlyArray<string>
  readonly env: { readonly [name: string]: string }
  readonly stdin: string
}

/** A program and its invocation. */
export interface Program {
  readonly binary: string
  readonly invocation: Invocation
}

/** A program that starts another one. */
export interface Wrapper extends Program {
  /**
   * True if everything that the inner program has started is gone when this one has exited by itself. Such a program is a
   * process of its own, which exits with 128 and the number of the signal if a signal ended the inner one.
   */
  readonly isContainer?: boolean
}

/**
 * Replaces a program by one that starts it, for example in a sandbox. The working directory is the one in which both
 * start.
 *
 * What stands for the run then is the program that starts it: it has the pid, it gets the signals and the input, it
 * carries the limit and the variables by which the run's processes are found, and its exit is the exit of the run. So it
 * must pass all of these on, end when it is told to, and take its own processes with it. Input arrives whole before it
 * starts.
 */
export type Wrap = (program: Program, cwd: string) => Wrapper

/** Starts a program as it is. */
export const asItIs: Wrap = (program) => program
