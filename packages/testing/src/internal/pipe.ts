import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/**
 * The capacity of a pipe on Linux.
 *
 * @internal
 */
export const capacity = 64 * 1024

/**
 * One direction of a process's standard streams: a queue of chunks, bounded in bytes, whose writer waits
 * while it is full. A chunk larger than the capacity is let in when the pipe is empty, so that the
 * boundaries a script asked for are the boundaries a reader sees.
 *
 * @internal
 */
export class Pipe {
  private queue: Array<Uint8Array> = []
  private queued = 0
  private ended = false
  private readerGone = false
  private readerSeen = false
  private readonly readable = Effect.unsafeMakeLatch(false)
  private readonly writable = Effect.unsafeMakeLatch(true)
  bytesWritten = 0
  bytesRead = 0

  write(chunk: Uint8Array): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.ended || this.readerGone || chunk.length === 0) {
        return Effect.void
      }
      if (this.queued > 0 && this.queued + chunk.length > capacity) {
        this.writable.unsafeClose()
        return Effect.andThen(this.writable.await, this.write(chunk))
      }
      this.queue.push(chunk)
      this.queued += chunk.length
      this.bytesWritten += chunk.length
      this.readable.unsafeOpen()
      return Effect.void
    })
  }

  /** Ends the output. Queued chunks can still be read. */
  end(): void {
    this.ended = true
    this.readable.unsafeOpen()
    this.writable.unsafeOpen()
  }

  /** Drops queued chunks, unless a reader has begun. */
  discardUnread(): void {
    if (!this.readerSeen) {
      this.drop()
    }
  }

  /** Marks the pipe as unread: everything written is lost at once and never blocks. */
  detach(): void {
    this.readerSeen = true
    this.readerGone = true
    this.drop()
  }

  get stream(): Stream.Stream<Uint8Array> {
    return Stream.suspend(() => {
      this.readerSeen = true
      return Stream.ensuring(
        Stream.repeatEffectOption(this.take),
        Effect.sync(() => this.detach())
      )
    })
  }

  private readonly take: Effect.Effect<Uint8Array, Option.Option<never>> = Effect.suspend(() => {
    const chunk = this.queue.shift()
    if (chunk !== undefined) {
      this.queued -= chunk.length
      this.bytesRead += chunk.length
      this.writable.unsafeOpen()
      return Effect.succeed(chunk)
    }
    if (this.ended || this.readerGone) {
      return Effect.fail(Option.none())
    }
    this.readable.unsafeClose()
    return Effect.andThen(this.readable.await, this.take)
  })

  private drop(): void {
    this.queue = []
    this.queued = 0
    this.writable.unsafeOpen()
  }
}
