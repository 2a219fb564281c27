--- What each server last said of itself (`inkling/didChangeStatus`), and whether the user paused it.
local M = {}

---@class inkling.Status
---@field state 'starting'|'ready'|'off'|'error'
---@field model string
---@field kind string
---@field where? string The machine the model runs on.
---@field reason string Why the last request got nothing.
---@field counters? table<string, integer>
---@field log? string The engine's log file.

---@type table<integer, inkling.Status> By the client's id.
local reports = {}

local function changed()
  vim.api.nvim_exec_autocmds('User', { pattern = 'InklingStatus', modeline = false })
  vim.cmd.redrawstatus({ bang = true })
end

---@param client_id integer
---@param report inkling.Status
function M.set(client_id, report)
  reports[client_id] = report
  changed()
end

---@param client_id integer
function M.forget(client_id)
  reports[client_id] = nil
  changed()
end

---@param client_id integer
---@return inkling.Status?
function M.of(client_id)
  return reports[client_id]
end

--- To be called when what `statusline` says may have changed otherwise.
M.changed = changed

return M
