; grammar: tree_sitter_python
; language: python .py .pyi
; prose: comment string string_content
; headers: async class def elif else except finally for if match case try while with
; openers: ( [ {

(function_definition name: (identifier) @name body: (_) @body) @definition.function
(class_definition name: (identifier) @name body: (_) @body) @definition.class
(module
  (expression_statement (assignment left: (identifier) @name)) @definition.variable)
(type_alias_statement left: (type (identifier) @name)) @definition.type

(import_statement name: (dotted_name) @import)
(import_statement name: (aliased_import name: (dotted_name) @import))
(import_from_statement module_name: (_) @import)
