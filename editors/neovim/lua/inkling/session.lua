--- From a key to ghost text: what happens at which event.
local lsp = require('inkling.client')
local request = require('inkling.request')
local suggestion = require('inkling.suggestion')

local M = {}

---@type string? The text and cursor that was last asked about: one key causes several events.
local seen

---@return string
local function moment()
  local row, column = unpack(vim.api.nvim_win_get_cursor(0))
  local buffer = vim.api.nvim_get_current_buf()
  return ('%d %d %d %d'):format(buffer, vim.b[buffer].changedtick, row, column)
end

--- The text or the cursor may have changed: redraw what is left of the suggestion, and ask anew.
function M.follow()
  if not vim.startswith(vim.api.nvim_get_mode().mode, 'i') then
    return
  end
  local now = moment()
  if now == seen then
    return
  end
  suggestion.follow()
  if lsp.is_enabled() and request.ask(request.AUTOMATIC) then
    seen = now
  end
end

--- Nothing is wanted here any more.
function M.leave()
  seen = nil
  request.cancel()
  suggestion.clear()
end

--- Hide the text until the text or the cursor changes.
---@return boolean dismissed
function M.dismiss()
  local was_shown = suggestion.shown() ~= nil
  request.cancel()
  suggestion.clear()
  return was_shown
end

--- Ask now, with alternatives.
---@param on_answer? fun()
function M.trigger(on_answer)
  if vim.startswith(vim.api.nvim_get_mode().mode, 'i') then
    seen = moment()
    request.ask(request.INVOKED, on_answer)
  end
end

--- Show another alternative. The first time they have to be asked for.
---@param step integer
function M.cycle(step)
  if suggestion.num_items() > 1 then
    suggestion.cycle(step)
  else
    M.trigger(function()
      suggestion.cycle(step)
    end)
  end
end

---@param group integer
---@param buffer integer
local function follow_buffer(group, buffer)
  local function on(events, callback)
    vim.api.nvim_create_autocmd(events, { group = group, buffer = buffer, callback = callback })
  end
  vim.api.nvim_clear_autocmds({ group = group, buffer = buffer })
  on({ 'TextChangedI', 'TextChangedP', 'CursorMovedI' }, M.follow)
  -- The mode is not yet Insert, nor the cursor where it will be.
  on('InsertEnter', function()
    vim.schedule(M.follow)
  end)
  on({ 'InsertLeave', 'BufLeave', 'WinLeave', 'BufUnload' }, M.leave)
  -- A menu opens and closes without a change of the text.
  on({ 'CompleteChanged', 'CompleteDone' }, function()
    vim.schedule(suggestion.follow)
  end)
  on('BufFilePre', function()
    M.leave()
    lsp.follow_rename(buffer)
  end)
end

--- Follow every buffer that has our server, now or later.
function M.start()
  local group = vim.api.nvim_create_augroup('inkling', { clear = true })
  local function is_ours(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    return client ~= nil and client.name == 'inkling'
  end
  vim.api.nvim_create_autocmd('LspAttach', {
    group = group,
    callback = function(event)
      if is_ours(event) then
        follow_buffer(group, event.buf)
        -- Whoever is typing already shall not have to type on.
        vim.schedule(M.follow)
      end
    end,
  })
  vim.api.nvim_create_autocmd('LspDetach', {
    group = group,
    callback = function(event)
      if is_ours(event) then
        vim.api.nvim_clear_autocmds({ group = group, buffer = event.buf })
        M.leave()
      end
    end,
  })
  for _, client in ipairs(lsp.all()) do
    for buffer in pairs(client.attached_buffers) do
      follow_buffer(group, buffer)
    end
  end
end

return M
