--- Accepts what is shown: all of it, its next word or its next line.
local lsp = require('inkling.client')
local request = require('inkling.request')
local suggestion = require('inkling.suggestion')

local M = {}

--- Undo stops here: setting this option ends the undo step that Insert mode keeps open.
local function end_undo_step()
  vim.go.undolevels = vim.go.undolevels
end

--- Insert a text at the cursor, as one undo step, and put the cursor behind it.
---@param text string
local function insert(text)
  local row, column = unpack(vim.api.nvim_win_get_cursor(0))
  local lines = vim.split(text, '\n', { plain = true })
  end_undo_step()
  vim.api.nvim_buf_set_text(0, row - 1, column, row - 1, column, lines)
  local end_column = #lines[#lines] + (#lines == 1 and column or 0)
  vim.api.nvim_win_set_cursor(0, { row + #lines - 1, end_column })
  end_undo_step()
end

--- Tell the server. `num_chars` of its text have been taken, all without it.
---@param id? string
---@param num_chars? integer
local function tell(id, num_chars)
  local client = lsp.client_of(vim.api.nvim_get_current_buf())
  if client and id then
    local params = { command = 'inkling.accepted', arguments = { id, num_chars } }
    client:request('workspace/executeCommand', params, function() end)
  end
end

--- Whether the text may not be changed now, as in an `expr` mapping: other plugins have such.
---@return boolean
local function is_locked()
  local ok, problem = pcall(vim.api.nvim_put, {}, 'c', false, false)
  return not ok and problem:find('E565', 1, true) ~= nil
end

---@param name 'all'|'word'|'line' Which function of this module calls.
---@param take fun(text: string): string What of the text shown is accepted.
---@return boolean accepted False when nothing is shown.
local function accept(name, take)
  local shown = suggestion.shown()
  if not shown then
    return false
  end
  if is_locked() then
    -- After the mapping, before the next key.
    local command = ('<Cmd>lua require("inkling.accept").%s()<CR>'):format(name)
    vim.api.nvim_feedkeys(vim.keycode(command), 'in', false)
    return true
  end
  local piece = take(shown.text)
  if piece == shown.text then
    request.cancel()
    suggestion.clear()
    insert(piece)
    tell(shown.id)
  else
    insert(piece)
    suggestion.follow()
    tell(shown.id, vim.fn.strchars(shown.typed .. piece))
  end
  return true
end

---@return boolean accepted
function M.all()
  return accept('all', function(text)
    return text
  end)
end

--- The next word with the blanks before it, or the next run of other characters.
---@return boolean accepted
function M.word()
  return accept('word', function(text)
    return text:match('^%s*[%w_\128-\255]+') or text:match('^%s*[^%s%w_\128-\255]*')
  end)
end

--- What is left of the line, or the next line if nothing is.
---@return boolean accepted
function M.line()
  return accept('line', function(text)
    return text:match('^\n*[^\n]*')
  end)
end

return M
