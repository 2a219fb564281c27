; grammar: tree_sitter_rust
; language: rust .rs
; prose: line_comment block_comment doc_comment string_literal string_content raw_string_literal
; headers: async else enum extern fn for if impl loop match mod pub struct trait unsafe while
; openers: ( [ {
; labels: where {
; leading: #[ // /* *

(function_item name: (_) @name body: (_) @body) @definition.function
(function_signature_item name: (_) @name) @definition.function
(struct_item name: (_) @name body: (_)? @body) @definition.class
(union_item name: (_) @name body: (_) @body) @definition.class
(enum_item name: (_) @name body: (_) @body) @definition.enum
(trait_item name: (_) @name body: (_) @body) @definition.interface
(impl_item type: (_) @name body: (_) @body) @definition.class
(mod_item name: (_) @name body: (_) @body) @definition.module
(type_item name: (_) @name) @definition.type
(const_item name: (_) @name) @definition.constant
(static_item name: (_) @name) @definition.variable
(macro_definition name: (_) @name) @definition.macro

(use_declaration argument: [(identifier) (scoped_identifier)] @import)
(use_declaration argument: (use_as_clause path: (_) @import))
(use_declaration argument: (scoped_use_list path: (_) @import))
(use_declaration argument: (use_wildcard (_) @import))
(mod_item name: (_) @import !body)
