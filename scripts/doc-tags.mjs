/**
 * Every public module of a library begins with a doc comment that has `@since`; every export of it has `@since` and a
 * lower-case `@category`, or `@internal`.
 */
import * as fs from "node:fs"
import ts from "typescript"
import { finish, isProgram, packages, publicModules, relative } from "./lib/repository.mjs"

const problems = []
let exports = 0
let modules = 0

const tagsOf = (node) => {
  const tags = new Map()
  for (const tag of ts.getJSDocTags(node)) {
    tags.set(tag.tagName.text, (ts.getTextOfJSDocComment(tag.comment) ?? "").trim())
  }
  return tags
}

const has = (statement, kind) => statement.modifiers?.some((modifier) => modifier.kind === kind) ?? false

const nameOf = (statement) => {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map((declaration) => declaration.name.getText()).join(", ")
  }
  if (ts.isExportDeclaration(statement)) return statement.getText().split("\n")[0]
  return statement.name?.getText() ?? "default"
}

const visit = (source, statements, file, inNamespace) => {
  const overloads = new Set()
  for (const statement of statements) {
    const exported = ts.isExportDeclaration(statement) || ts.isExportAssignment(statement) ||
      has(statement, ts.SyntaxKind.ExportKeyword) || inNamespace
    if (!exported) continue
    const name = nameOf(statement)
    const { line } = source.getLineAndCharacterOfPosition(statement.getStart())
    const where = `${relative(file)}:${line + 1}: ${name}`
    const tags = tagsOf(statement)
    if (tags.has("internal")) continue
    if (ts.isFunctionDeclaration(statement)) {
      if (overloads.has(name)) continue
      overloads.add(name)
    }
    exports++
    const since = tags.get("since")
    if (since === undefined) problems.push(`${where} has no @since`)
    else if (!/^\d+\.\d+\.\d+$/.test(since)) problems.push(`${where}: @since ${since} is not a version`)
    const category = tags.get("category")
    if (category === undefined || category === "") {
      if (!inNamespace) problems.push(`${where} has no @category`)
    } else if (category !== category.toLowerCase()) {
      problems.push(`${where}: @category ${category} is not in lower case`)
    }
    if (ts.isModuleDeclaration(statement) && statement.body !== undefined && ts.isModuleBlock(statement.body)) {
      visit(source, statement.body.statements, file, true)
    }
  }
}

for (const { dir } of packages().filter(({ manifest }) => !isProgram(manifest))) {
  for (const file of publicModules(dir)) {
    modules++
    const text = fs.readFileSync(file, "utf8")
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
    const doc = /^(?:#!.*\n)?\s*\/\*\*([\s\S]*?)\*\//.exec(text)?.[1]
    if (doc === undefined) problems.push(`${relative(file)}:1: the module does not begin with a doc comment`)
    else {
      if (!/@since \d+\.\d+\.\d+/.test(doc)) {
        problems.push(`${relative(file)}:1: the module's doc comment has no @since`)
      }
      if (!/[A-Za-z]/.test(doc.replace(/@[\s\S]*/, ""))) {
        problems.push(`${relative(file)}:1: the module's doc comment has no first paragraph`)
      }
    }
    visit(source, source.statements, file, false)
  }
}
if (modules === 0) problems.push("no public modules found")
finish(problems, `${exports} exports of ${modules} modules have their tags`)
