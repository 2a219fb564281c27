--- What the user has configured.
local M = {}

---@class inkling.Keys
---@field accept? string|false Accept the whole text.
---@field accept_word? string|false Accept its next word.
---@field accept_line? string|false Accept its next line.
---@field next? string|false Show the next alternative.
---@field previous? string|false Show the previous alternative.
---@field dismiss? string|false Hide the text until something is typed.
---@field trigger? string|false Ask now, with alternatives.

---@class inkling.Options
---@field cmd? string[] How to start the server.
---@field filetypes? string[]|'*' Where it completes; '*' for every file.
---@field root_markers? string[] Files that make a folder the workspace's.
---@field settings? table The server's settings, as in config.toml.
---@field keys? inkling.Keys|false Insert-mode keys, each or all of them false for none.
---@field hide_when? fun(): boolean Ghost text is hidden while this returns true.

---@type inkling.Options
M.current = {
  cmd = { 'inkling', 'lsp' },
  filetypes = {
    'python',
    'javascript',
    'javascriptreact',
    'typescript',
    'typescriptreact',
    'go',
    'rust',
    'java',
    'c',
    'cpp',
    'cs',
    'ruby',
    'php',
    'sh',
    'bash',
  },
  root_markers = { '.git', 'pyproject.toml', 'package.json', 'go.mod', 'Cargo.toml' },
  settings = {},
  keys = {
    accept = '<Tab>',
    accept_word = '<M-Right>',
    accept_line = '<M-Down>',
    next = '<M-]>',
    previous = '<M-[>',
    dismiss = '<C-]>',
    trigger = '<M-\\>',
  },
  hide_when = function()
    return vim.fn.pumvisible() == 1
  end,
}
local defaults = M.current

---@param options inkling.Options
function M.set(options)
  local is_table, is_function = 'table', 'function'
  vim.validate('cmd', options.cmd, is_table, true)
  vim.validate('filetypes', options.filetypes, function(value)
    return value == nil or value == '*' or type(value) == 'table'
  end, "a list of filetypes or '*'")
  vim.validate('root_markers', options.root_markers, is_table, true)
  vim.validate('settings', options.settings, is_table, true)
  vim.validate('keys', options.keys, function(value)
    return value == nil or value == false or type(value) == 'table'
  end, 'a table of keys or false')
  vim.validate('hide_when', options.hide_when, is_function, true)
  for name in pairs(options) do
    vim.validate(name, defaults[name], function(default)
      return default ~= nil
    end, 'an option of inkling (see :help inkling-options)')
  end
  for name in pairs(options.keys or {}) do
    vim.validate('keys.' .. name, defaults.keys[name], 'string')
  end
  M.current = vim.tbl_deep_extend('force', defaults, options)
end

--- Whether ghost text is to be hidden now. A function of the user's that fails hides nothing: a key
--- must not end in an error message.
---@return boolean
function M.is_hidden()
  local ok, hidden = pcall(M.current.hide_when)
  return ok and hidden
end

return M
