--- A short text for the statusline. Cheap: nothing is asked, only remembered.
local lsp = require('inkling.client')
local pause = require('inkling.pause')
local status = require('inkling.status')

local M = {}

---@return string
function M.text()
  local client = lsp.client_of(vim.api.nvim_get_current_buf())
  if not client then
    return ''
  end
  local report = status.of(client.id)
  if pause.is_paused() then
    return 'Inkling: paused'
  elseif not lsp.is_enabled() then
    return 'Inkling: disabled'
  elseif not report or report.state == 'starting' then
    return 'Inkling: starting'
  elseif report.reason ~= '' then
    return 'Inkling: ' .. report.reason
  elseif report.state ~= 'ready' then
    return 'Inkling: ' .. report.state
  end
  return 'Inkling: ' .. report.model
end

return M
