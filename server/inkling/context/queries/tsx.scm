; inherits: typescript
; grammar: tree_sitter_typescript.language_tsx
; language: typescriptreact .tsx
