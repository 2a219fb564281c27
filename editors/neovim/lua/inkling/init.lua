--- Inkling in Neovim: starts `inkling lsp` and shows its inline completions as ghost text.
---
--- Thin on purpose: Neovim 0.12 draws, cycles and accepts by itself (`vim.lsp.inline_completion`).
local M = {}

---@class inkling.Options
---@field cmd? string[] How to start the server (default: `{ 'inkling', 'lsp' }`).
---@field filetypes? string[] Where it completes.
---@field settings? table Server settings, as in config.toml.
---@field accept_key? string|false Insert-mode key that accepts (default: `<Tab>`), false for none.

---@type inkling.Options
local defaults = {
  cmd = { 'inkling', 'lsp' },
  filetypes = { 'python', 'javascript', 'javascriptreact', 'typescript', 'typescriptreact' },
  settings = {},
  accept_key = '<Tab>',
}

--- Neovim 0.12.4 leaves the characters typed since the request in place when it accepts, and so
--- doubles them (neovim#36529): take them out first.
---@param item vim.lsp.inline_completion.Item
local function remove_typed_part(item)
  if type(item.insert_text) ~= 'string' or not item.range then
    return item
  end
  local start_row, start_col, end_row, end_col = item.range:to_extmark()
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  if row - 1 == end_row and col > end_col then
    local typed = vim.api.nvim_buf_get_text(0, start_row, start_col, end_row, col, {})[1]
    if vim.startswith(item.insert_text, typed) then
      vim.api.nvim_buf_set_text(0, end_row, end_col, end_row, col, {})
    end
  end
  return item
end

--- Accept the completion on screen.
---@return boolean accepted False when nothing is shown: the caller's key keeps its own meaning.
function M.accept()
  return vim.lsp.inline_completion.get({ on_accept = remove_typed_part })
end

--- Start Inkling. May be called again with other options.
---@param options? inkling.Options
function M.setup(options)
  if vim.fn.has('nvim-0.12') == 0 then
    vim.notify('inkling needs Neovim 0.12 or newer', vim.log.levels.ERROR)
    return
  end
  options = vim.tbl_deep_extend('force', defaults, options or {})
  vim.lsp.config('inkling', {
    cmd = options.cmd,
    filetypes = options.filetypes,
    root_markers = { '.git', 'pyproject.toml', 'package.json' },
    init_options = options.settings,
  })
  vim.api.nvim_create_autocmd('LspAttach', {
    group = vim.api.nvim_create_augroup('inkling', { clear = true }),
    callback = function(event)
      local client = vim.lsp.get_client_by_id(event.data.client_id)
      if client and client.name == 'inkling' then
        vim.lsp.inline_completion.enable(true, { bufnr = event.buf })
      end
    end,
  })
  vim.lsp.enable('inkling')
  if options.accept_key then
    vim.keymap.set('i', options.accept_key, function()
      return M.accept() and '' or options.accept_key
    end, { expr = true, desc = 'Inkling: accept the completion, or the key itself' })
  end
end

return M
