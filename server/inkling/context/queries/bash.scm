; grammar: tree_sitter_bash
; language: shellscript .sh .bash
; prose: comment string string_content raw_string heredoc_body heredoc_content
; headers: case elif else for function if select until while
; openers: ( { do else in then
; closers: done esac fi
; continuations: else elif
; labels: do then {
; heredoc: (?<!<)<<-?\s*["']?([A-Z_a-z]\w*)

(function_definition name: (_) @name body: (_) @body) @definition.function
(program (variable_assignment name: (variable_name) @name) @definition.variable)
(program
  (declaration_command (variable_assignment name: (variable_name) @name)) @definition.variable)

(command
  name: (command_name) @_function
  argument: (_) @import
  (#any-of? @_function "source" "."))
