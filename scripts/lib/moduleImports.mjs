/** A rule of the lint: what a package's barrel exports is imported from its own module. It corrects what it finds. */
export const moduleImports = {
  meta: {
    type: "suggestion",
    fixable: "code",
    messages: { module: "Import each module of {{ from }} by its own path: import * as Name from \"{{ from }}/Name\"" },
    schema: [{ type: "array", items: { type: "string" } }]
  },
  create: (context) => ({
    ImportDeclaration: (node) => {
      const from = node.source.value
      if (!context.options[0].includes(from)) return
      const modules = node.specifiers.flatMap((specifier) => {
        if (specifier.type !== "ImportSpecifier") return []
        const isType = node.importKind === "type" || specifier.importKind === "type"
        return [`import ${isType ? "type " : ""}* as ${specifier.local.name} from "${from}/${specifier.imported.name}"`]
      })
      context.report({
        node,
        messageId: "module",
        data: { from },
        fix: modules.length === node.specifiers.length
          ? (fixer) => fixer.replaceText(node, modules.join("\n"))
          : undefined
      })
    }
  })
}
