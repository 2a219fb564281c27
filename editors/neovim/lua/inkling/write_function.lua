--- Writes the function that a comment or a signature describes, and shows it before it is inserted.
local lsp = require('inkling.client')
local notice = require('inkling.notice')
local preview = require('inkling.preview')

local M = {}

local TOKEN = 'inkling.function.'

---@class inkling.FunctionRequest
---@field token string
---@field buffer integer
---@field tick integer The buffer's `changedtick` when it was asked.
---@field client vim.lsp.Client
---@field id? integer

---@type inkling.FunctionRequest?
local running
local num_requests = 0

---@param request inkling.FunctionRequest
local function cancel(request)
  if running ~= request then
    return
  end
  running = nil
  local pending = request.id and request.client.requests[request.id]
  if pending and pending.type == 'pending' then
    request.client:cancel_request(request.id)
  end
end

---@param request inkling.FunctionRequest
---@param edit lsp.WorkspaceEdit
local function insert(request, edit)
  local is_loaded = vim.api.nvim_buf_is_loaded(request.buffer)
  if not is_loaded or vim.b[request.buffer].changedtick ~= request.tick then
    notice.warn('the file was edited meanwhile, so nothing was inserted: ask again.')
    return
  end
  vim.lsp.util.apply_workspace_edit(edit, request.client.offset_encoding)
end

---@param request inkling.FunctionRequest
---@param error? lsp.ResponseError
---@param result? { edit: lsp.WorkspaceEdit?, text: string, message: string }
local function answered(request, error, result)
  if running ~= request then
    return
  end
  running = nil
  if error or not result or not result.edit or result.edit == vim.NIL then
    preview.close()
    local message = result and result.message or (error and error.message) or ''
    notice.warn(message ~= '' and message or 'nothing was written.')
    return
  end
  preview.show(vim.split(result.text:gsub('\n$', ''), '\n', { plain = true }), function()
    insert(request, result.edit)
  end)
end

--- Write the function described at the cursor.
function M.start()
  local buffer = vim.api.nvim_get_current_buf()
  local client = lsp.client_of(buffer)
  if not client then
    notice.warn('no server is attached to this buffer; `:checkhealth inkling` tells why.')
    return
  end
  if running then
    cancel(running)
  end
  num_requests = num_requests + 1
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  local request = {
    token = TOKEN .. num_requests,
    buffer = buffer,
    tick = vim.b[buffer].changedtick,
    client = client,
  }
  params.workDoneToken = request.token
  running = request
  preview.open(vim.bo[buffer].filetype, function()
    cancel(request)
  end)
  local _, id = client:request('inkling/writeFunction', params, function(error, result)
    answered(request, error, result)
  end, buffer)
  request.id = id
end

--- `$/progress` with one of our tokens. True if it was ours.
---@param params lsp.ProgressParams
---@return boolean
function M.progress(params)
  if running and params.token == running.token and params.value.message then
    preview.report(params.value.message)
  end
  return type(params.token) == 'string' and vim.startswith(params.token, TOKEN)
end

return M
