import * as fs from "node:fs"
import { defineConfig } from "vitepress"
import { slug } from "../../../scripts/lib/markdown.mjs"
import { navigation } from "../../navigation.mjs"

const manifest = JSON.parse(fs.readFileSync(new URL("../../../package.json", import.meta.url), "utf8"))
const api = JSON.parse(fs.readFileSync(new URL("api.json", import.meta.url), "utf8"))

const linkOf = (file) =>
  file === "README.md"
    ? "/"
    : file === "bench/results.md"
    ? "/benchmark"
    : `/${
      file.replace(/^docs\//, "").replace(/^packages\/(\w+)\/README\.md$/, "$1").replace(/\.md$/, "").toLowerCase()
    }`

const guides = navigation.map(({ pages, title }) => ({
  text: title,
  collapsed: false,
  items: pages.map(([file, text]) => ({ text, link: linkOf(file) }))
}))

export default defineConfig({
  title: "effect-opencode",
  description: "A run of the OpenCode coding agent as an Effect",
  lang: "en-US",
  cleanUrls: true,
  lastUpdated: false,
  markdown: {
    theme: { light: "github-light", dark: "github-dark" },
    // the anchors that the links in the Markdown files are written for
    anchor: { slugify: slug },
    config: (md) => {
      // Vue would read braces in code as an expression.
      md.renderer.rules.code_inline = (tokens, index) =>
        `<code>${md.utils.escapeHtml(tokens[index].content).replaceAll("{", "&#123;")}</code>`
      const text = md.renderer.rules.text
      md.renderer.rules.text = (...args) => text(...args).replaceAll("{", "&#123;")
    }
  },
  themeConfig: {
    nav: [
      { text: "First programs", link: "/first-programs" },
      { text: "Reference", link: "/reference" },
      { text: "API", link: `/api/${api[0].name}/`, activeMatch: "^/api/" }
    ],
    sidebar: {
      "/api/": api.map(({ modules, name }) => ({
        text: name,
        link: `/api/${name}/`,
        items: modules.map((module) => ({ text: module, link: `/api/${name}/${module}` }))
      })),
      "/": guides
    },
    outline: { level: [2, 3] },
    search: { provider: "local" },
    socialLinks: [
      { icon: "github", link: `https://github.com/${manifest.repository.replace(/^github:/, "")}` }
    ]
  }
})
