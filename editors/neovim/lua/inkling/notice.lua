--- What the user is told: one sentence at a time.
local M = {}

---@param sentence string
---@param level? integer One of `vim.log.levels`.
function M.tell(sentence, level)
  vim.notify('Inkling: ' .. sentence, level or vim.log.levels.INFO)
end

---@param sentence string
function M.warn(sentence)
  M.tell(sentence, vim.log.levels.WARN)
end

return M
