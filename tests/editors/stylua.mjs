// Formats Lua as stylua does, out of its WebAssembly build in the working directory's node_modules.
// stdin: {"options": stylua.toml's, "sources": texts}; stdout: the same texts, formatted.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const stylua = createRequire(`${process.cwd()}/`)('@johnnymorganz/stylua')
// The build takes numbers where stylua.toml has names.
const names = {
  call_parentheses: stylua.CallParenType,
  indent_type: stylua.IndentType,
  line_endings: stylua.LineEndings,
  quote_style: stylua.QuoteStyle,
}

// Formatting uses its configuration up: each text gets its own.
function configuration(options) {
  const config = stylua.Config.new()
  for (const [option, value] of Object.entries(options)) {
    const choice = option in names ? names[option][value] : value
    if (!(option in config) || typeof choice !== 'number') {
      throw new Error(`stylua.mjs does not know ${option} = ${value}`)
    }
    config[option] = choice
  }
  return config
}

const { options, sources } = JSON.parse(readFileSync(0, 'utf8'))
const { Full } = stylua.OutputVerification
const formatted = sources.map((source) =>
  stylua.formatCode(source, configuration(options), undefined, Full),
)
process.stdout.write(JSON.stringify(formatted))
