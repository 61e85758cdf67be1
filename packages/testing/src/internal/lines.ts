declare const TextDecoder: new() => {
  readonly decode: (bytes?: Uint8Array, options?: { readonly stream: boolean }) => string
}

/** A piece of output up to a line feed, or up to the end. */
export interface Line {
  readonly text: string
  /** True if it ended with a line feed. */
  readonly ended: boolean
}

/** Cuts bytes into lines, wherever the chunks end. */
export class Lines {
  private readonly decoder = new TextDecoder()
  private rest = ""

  push(bytes: Uint8Array): ReadonlyArray<Line> {
    return this.cut(this.decoder.decode(bytes, { stream: true }))
  }

  flush(): ReadonlyArray<Line> {
    const lines = this.cut(this.decoder.decode())
    const rest = this.rest
    this.rest = ""
    return rest === "" ? lines : [...lines, { text: rest, ended: false }]
  }

  private cut(text: string): ReadonlyArray<Line> {
    const [first = "", ...others] = text.split("\n")
    const last = others.pop()
    if (last === undefined) {
      this.rest += first
      return []
    }
    const lines = [this.rest + first, ...others]
    this.rest = last
    return lines.map((text) => ({ text, ended: true }))
  }
}
