; grammar: tree_sitter_java
; language: java .java
; prose: line_comment block_comment string_literal string_fragment multiline_string_fragment
; headers: abstract catch class do else enum final finally for if interface private protected
; headers: public record static switch synchronized try while
; openers: ( [ {
; labels: case default {

(class_declaration name: (_) @name body: (_) @body) @definition.class
(record_declaration name: (_) @name body: (_) @body) @definition.class
(interface_declaration name: (_) @name body: (_) @body) @definition.interface
(annotation_type_declaration name: (_) @name body: (_) @body) @definition.interface
(enum_declaration name: (_) @name body: (_) @body) @definition.enum
(constructor_declaration name: (_) @name body: (_) @body) @definition.method
(method_declaration name: (_) @name body: (_)? @body) @definition.method
(field_declaration declarator: (variable_declarator name: (_) @name)) @definition.variable

(import_declaration (scoped_identifier) @import)
