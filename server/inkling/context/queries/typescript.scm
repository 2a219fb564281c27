; inherits: javascript
; grammar: tree_sitter_typescript.language_typescript
; language: typescript .ts .cts .mts

(abstract_class_declaration name: (_) @name body: (_) @body) @definition.class
(interface_declaration name: (_) @name body: (_) @body) @definition.interface
(enum_declaration name: (_) @name body: (_) @body) @definition.enum
(internal_module name: (_) @name body: (_) @body) @definition.module
(type_alias_declaration name: (_) @name) @definition.type
(function_signature name: (_) @name) @definition.function

(import_require_clause source: (string (string_fragment) @import))
