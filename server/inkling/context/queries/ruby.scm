; grammar: tree_sitter_ruby
; language: ruby .rb .rake .gemspec
; prose: comment string string_content heredoc_content regex
; headers: begin case class def else elsif ensure for if module rescue unless until when while
; openers: ( [ { do |
; closers: end
; continuations: else elsif rescue ensure when in
; labels: when in rescue ensure
; heredoc: <<[-~]?["'`]?([A-Z_a-z]\w*)

(method name: (_) @name body: (_)? @body) @definition.method
(singleton_method name: (_) @name body: (_)? @body) @definition.method
(class name: (_) @name body: (_)? @body) @definition.class
(module name: (_) @name body: (_)? @body) @definition.module
(assignment left: (constant) @name) @definition.constant

(call
  method: (identifier) @_function
  arguments: (argument_list . (string (string_content) @import))
  (#any-of? @_function "require" "require_relative"))
