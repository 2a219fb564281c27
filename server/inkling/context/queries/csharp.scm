; grammar: tree_sitter_c_sharp
; language: csharp .cs
; prose: comment string_literal string_literal_content verbatim_string_literal raw_string_literal
; prose: raw_string_content
; headers: abstract async catch class do else enum finally for foreach if interface internal lock
; headers: namespace private protected public record static struct switch try using while
; openers: ( [ {
; labels: case default where {
; leading: // /* *

(class_declaration name: (_) @name body: (_) @body) @definition.class
(struct_declaration name: (_) @name body: (_) @body) @definition.class
(record_declaration name: (_) @name body: (_)? @body) @definition.class
(interface_declaration name: (_) @name body: (_) @body) @definition.interface
(enum_declaration name: (_) @name body: (_) @body) @definition.enum
(namespace_declaration name: (_) @name body: (_) @body) @definition.module
(method_declaration name: (_) @name body: (_)? @body) @definition.method
(constructor_declaration name: (_) @name body: (_) @body) @definition.method
(property_declaration name: (_) @name accessors: (_)? @body) @definition.variable
(field_declaration
  (variable_declaration (variable_declarator name: (_) @name))) @definition.variable
(delegate_declaration name: (_) @name) @definition.type

(using_directive [(qualified_name) (identifier)] @import)
