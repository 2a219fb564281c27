; grammar: tree_sitter_c
; language: c .c .h
; prose: comment string_literal string_content system_lib_string
; headers: do else enum for if struct switch typedef union while
; openers: ( [ {
; labels: case default {
; leading: // /* *

(function_definition
  declarator: [
    (function_declarator declarator: (_) @name)
    (pointer_declarator declarator: (function_declarator declarator: (_) @name))
  ]
  body: (_) @body) @definition.function
(translation_unit
  (declaration
    declarator: [
      (function_declarator declarator: (identifier) @name)
      (pointer_declarator declarator: (function_declarator declarator: (identifier) @name))
    ]) @definition.function)
(struct_specifier name: (_) @name body: (_) @body) @definition.class
(union_specifier name: (_) @name body: (_) @body) @definition.class
(enum_specifier name: (_) @name body: (_) @body) @definition.enum
(type_definition declarator: (type_identifier) @name) @definition.type
(preproc_def name: (_) @name) @definition.macro
(preproc_function_def name: (_) @name) @definition.macro

(preproc_include path: (string_literal (string_content) @import))
(preproc_include path: (system_lib_string) @import)
