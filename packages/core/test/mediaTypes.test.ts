import { describe, expect, it } from "@effect/vitest"
import * as mediaTypes from "../src/internal/opencode/mediaTypes.js"

const text = new TextEncoder().encode("plain words")
const bytes = Uint8Array.of(0xff, 0xfe, 0x00)

describe("mediaTypes", () => {
  it("sends images and PDFs as they are, whatever their content, and all other text as plain text", () => {
    expect(mediaTypes.sentAs("image/PNG", text)).toBe("image/png")
    expect(mediaTypes.sentAs("application/pdf", text)).toBe("application/pdf")
    expect(mediaTypes.sentAs("audio/wav", text)).toBe("audio/wav")
    for (const type of ["text/markdown", "application/json", "image/svg+xml"]) {
      expect(mediaTypes.sentAs(type, text)).toBe("text/plain")
      expect(mediaTypes.sentAs(type, bytes)).toBe(type)
    }
  })

  it("gives a file the extension by which OpenCode recognizes it, and no false one", () => {
    expect(mediaTypes.nameOf("image/png", bytes, "shot")).toBe("shot.png")
    expect(mediaTypes.nameOf("image/jpeg", bytes, "shot.JPEG")).toBe("shot.JPEG")
    expect(mediaTypes.nameOf("image/jpeg", bytes, "shot.png")).toBe("shot.png.jpg")
    expect(mediaTypes.nameOf("text/markdown", text, "notes.md")).toBe("notes.md")
    expect(mediaTypes.nameOf("text/plain", text, "notes.png")).toBe("notes.png.txt")
    expect(mediaTypes.nameOf("application/zip", bytes, "notes.pdf")).toBe("notes.pdf.bin")
  })
})
