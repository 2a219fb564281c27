; grammar: tree_sitter_javascript
; language: javascript .js .cjs .mjs
; language: javascriptreact .jsx
; prose: comment string string_fragment template_string regex jsx_text
; headers: async class do else enum export for function if interface namespace switch try while
; openers: ( [ { =>

(function_declaration name: (_) @name body: (_) @body) @definition.function
(generator_function_declaration name: (_) @name body: (_) @body) @definition.function
(class_declaration name: (_) @name body: (_) @body) @definition.class
(method_definition name: (_) @name body: (_) @body) @definition.method
(program
  [
    (lexical_declaration (variable_declarator name: (identifier) @name))
    (variable_declaration (variable_declarator name: (identifier) @name))
    (export_statement
      declaration: (lexical_declaration (variable_declarator name: (identifier) @name)))
  ] @definition.variable)

(import_statement source: (string (string_fragment) @import))
(export_statement source: (string (string_fragment) @import))
(call_expression
  function: [(identifier) (import)] @_function
  arguments: (arguments . (string (string_fragment) @import))
  (#any-of? @_function "require" "import"))
