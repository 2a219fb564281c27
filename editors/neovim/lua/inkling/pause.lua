--- Completing no more for some minutes.
local lsp = require('inkling.client')

local M = {}

---@type uv.uv_timer_t? Runs while paused.
local timer

local function stop_timer()
  if timer then
    timer:stop()
    timer:close()
    timer = nil
  end
end

---@return boolean
function M.is_paused()
  return timer ~= nil
end

---@param minutes number
function M.pause(minutes)
  stop_timer()
  timer = vim.defer_fn(function()
    timer = nil
    lsp.set_enabled(true)
  end, math.floor(minutes * 60000))
  lsp.set_enabled(false)
end

--- Enable or disable until further notice, which ends a pause.
---@param value boolean
function M.set_enabled(value)
  stop_timer()
  lsp.set_enabled(value)
end

return M
