--- A window that floats above the code and shows what would be inserted.
local M = {}

---@type { window: integer, buffer: integer, on_close: fun() }?
local open

local MAX_HEIGHT = 20

---@param lines string[]
local function set_lines(lines)
  assert(open)
  vim.bo[open.buffer].modifiable = true
  vim.api.nvim_buf_set_lines(open.buffer, 0, -1, false, lines)
  vim.bo[open.buffer].modifiable = false
  local width = 40
  for _, line in ipairs(lines) do
    width = math.max(width, vim.fn.strdisplaywidth(line))
  end
  vim.api.nvim_win_set_config(open.window, {
    width = math.min(width, math.max(vim.o.columns - 4, 1)),
    height = math.min(#lines, MAX_HEIGHT),
  })
end

function M.close()
  if open then
    local closing = open
    open = nil
    if vim.api.nvim_win_is_valid(closing.window) then
      vim.api.nvim_win_close(closing.window, true)
    end
    closing.on_close()
  end
end

---@param lhs string
---@param description string
---@param action fun()
local function bind(lhs, description, action)
  assert(open)
  vim.keymap.set('n', lhs, action, { buffer = open.buffer, nowait = true, desc = description })
end

--- Open the window, with nothing to insert yet.
---@param filetype string Of what will be shown.
---@param on_close fun() Called when it is closed, whatever for.
function M.open(filetype, on_close)
  M.close()
  vim.cmd.stopinsert()
  local buffer = vim.api.nvim_create_buf(false, true)
  vim.bo[buffer].bufhidden = 'wipe'
  local window = vim.api.nvim_open_win(buffer, true, {
    relative = 'cursor',
    row = 1,
    col = 0,
    width = 40,
    height = 1,
    style = 'minimal',
    border = 'rounded',
    title = ' Inkling ',
    footer = ' q: discard ',
  })
  open = { window = window, buffer = buffer, on_close = on_close }
  vim.bo[buffer].syntax = filetype
  pcall(vim.treesitter.start, buffer, vim.treesitter.language.get_lang(filetype))
  set_lines({ 'Writing the function …' })
  bind('q', 'Discard', M.close)
  bind('<Esc>', 'Discard', M.close)
  vim.api.nvim_create_autocmd('WinLeave', { buffer = buffer, once = true, callback = M.close })
end

--- Say how far it is.
---@param message string
function M.report(message)
  if open then
    set_lines({ 'Writing the function … ' .. message })
  end
end

--- Show what would be inserted.
---@param lines string[]
---@param on_accept fun() Called with the code's window current again.
function M.show(lines, on_accept)
  if not open then
    return
  end
  set_lines(lines)
  vim.api.nvim_win_set_config(open.window, {
    title = ' Inkling ',
    footer = ' <CR>: insert   q: discard ',
  })
  bind('<CR>', 'Insert', function()
    M.close()
    on_accept()
  end)
end

return M
