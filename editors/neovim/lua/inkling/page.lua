--- Pages of text beside the code: what the server has to say, and files it writes.
local M = {}

--- Show Markdown in a window of its own; `q` closes it. The same title reuses its window.
---@param title string
---@param text string
function M.show(title, text)
  local name = 'inkling://' .. title
  local buffer = vim.fn.bufnr(name)
  if buffer == -1 then
    buffer = vim.api.nvim_create_buf(false, true)
    vim.api.nvim_buf_set_name(buffer, name)
    vim.bo[buffer].bufhidden = 'wipe'
    vim.bo[buffer].filetype = 'markdown'
    vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = buffer, desc = 'Close this page' })
  end
  vim.bo[buffer].modifiable = true
  vim.api.nvim_buf_set_lines(
    buffer,
    0,
    -1,
    false,
    vim.split(vim.trim(text), '\n', { plain = true })
  )
  vim.bo[buffer].modifiable = false
  local window = vim.fn.bufwinid(buffer)
  if window == -1 then
    vim.cmd.sbuffer(buffer)
  else
    vim.api.nvim_set_current_win(window)
  end
end

return M
