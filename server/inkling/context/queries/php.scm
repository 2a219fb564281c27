; grammar: tree_sitter_php.language_php
; language: php .php
; prose: comment string string_content encapsed_string heredoc_body nowdoc_body nowdoc_string
; headers: abstract case catch class do else elseif enum final finally for foreach function if
; headers: interface match namespace private protected public static switch trait try while
; openers: ( [ { :
; closers: endfor endforeach endif endswitch endwhile
; continuations: else elseif catch finally case default
; labels: case default {
; heredoc: <<<["']?([A-Z_a-z]\w*)

(function_definition name: (_) @name body: (_) @body) @definition.function
(method_declaration name: (_) @name body: (_)? @body) @definition.method
(class_declaration name: (_) @name body: (_) @body) @definition.class
(trait_declaration name: (_) @name body: (_) @body) @definition.class
(interface_declaration name: (_) @name body: (_) @body) @definition.interface
(enum_declaration name: (_) @name body: (_) @body) @definition.enum
(const_declaration (const_element (name) @name)) @definition.constant

(namespace_use_clause [(qualified_name) (name)] @import)
[
  (require_expression (_ (string_content) @import))
  (require_once_expression (_ (string_content) @import))
  (include_expression (_ (string_content) @import))
  (include_once_expression (_ (string_content) @import))
]
; require __DIR__ . "/lib.php"
[
  (require_expression (binary_expression right: (_ (string_content) @import)))
  (require_once_expression (binary_expression right: (_ (string_content) @import)))
  (include_expression (binary_expression right: (_ (string_content) @import)))
  (include_once_expression (binary_expression right: (_ (string_content) @import)))
]
