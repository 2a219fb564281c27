--- `$/progress` for the requests that have a token of ours.
local request = require('inkling.request')
local write_function = require('inkling.write_function')

local M = {}

--- True if it was for one of them. Other plugins need not know of these.
---@param params lsp.ProgressParams
---@return boolean
function M.take(params)
  return request.progress(params) or write_function.progress(params)
end

return M
