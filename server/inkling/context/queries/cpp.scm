; inherits: c
; grammar: tree_sitter_cpp
; language: cpp .cc .cpp .cxx .hh .hpp .hxx
; prose: comment string_literal string_content system_lib_string raw_string_literal
; prose: raw_string_content
; headers: catch class do else enum for if namespace struct switch template try typedef union while
; labels: case default private protected public {

(class_specifier name: (_) @name body: (_) @body) @definition.class
(namespace_definition name: (_) @name body: (_) @body) @definition.module
(alias_declaration name: (_) @name) @definition.type
(function_definition
  declarator: (reference_declarator (function_declarator declarator: (_) @name))
  body: (_) @body) @definition.function
(field_declaration declarator: (function_declarator declarator: (_) @name)) @definition.method
