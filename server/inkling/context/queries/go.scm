; grammar: tree_sitter_go
; language: go .go
; prose: comment interpreted_string_literal interpreted_string_literal_content
; prose: raw_string_literal raw_string_literal_content
; headers: else for func if interface select struct switch type
; openers: ( [ {
; labels: case default

(function_declaration name: (_) @name body: (_) @body) @definition.function
(method_declaration name: (_) @name body: (_) @body) @definition.method
(type_spec name: (_) @name) @definition.type
(type_alias name: (_) @name) @definition.type
(source_file (const_declaration (const_spec name: (_) @name) @definition.constant))
(source_file (var_declaration (var_spec name: (_) @name) @definition.variable))
(source_file
  (var_declaration (var_spec_list (var_spec name: (_) @name) @definition.variable)))

(import_spec path: (interpreted_string_literal (interpreted_string_literal_content) @import))
