--- Asks for a completion and takes the answer, in parts. Owns the request that is running.
---
--- Not `vim.lsp.inline_completion`, which Neovim 0.12 has: it waits 200 ms before it asks, lets a late
--- answer replace a newer one, keeps old text on screen when the answer is `null`, doubles what was
--- typed between answer and acceptance, and knows no streaming (measured with 0.12.4).
local lsp = require('inkling.client')
local suggestion = require('inkling.suggestion')
local typed_text = require('inkling.typed_text')

local M = {}

M.INVOKED = 1
M.AUTOMATIC = 2

local TOKEN = 'inkling.completion.'

---@class inkling.Request
---@field token string
---@field anchor inkling.Anchor
---@field client vim.lsp.Client
---@field id? integer

---@type inkling.Request?
local running
local num_requests = 0

---@param result? { items: lsp.InlineCompletionItem[] }
---@return inkling.Item[]
local function items_of(result)
  local items = {}
  for _, item in ipairs(type(result) == 'table' and result.items or {}) do
    if type(item.insertText) == 'string' then
      local id = vim.tbl_get(item, 'command', 'arguments', 1)
      table.insert(items, { text = item.insertText:gsub('\r\n?', '\n'), id = id })
    end
  end
  return items
end

---@param request inkling.Request
local function cancel(request)
  local pending = request.id and request.client.requests[request.id]
  if pending and pending.type == 'pending' then
    request.client:cancel_request(request.id)
  end
end

--- Ask for a completion at the cursor. The answer to any older request is ignored from now on.
---@param trigger_kind integer
---@param on_answer? fun() Called when the whole answer is there and was the newest.
---@return boolean asked False while there is no server to ask.
function M.ask(trigger_kind, on_answer)
  local anchor = typed_text.here()
  local client = lsp.client_of(anchor.buffer)
  if not client then
    M.cancel()
    return false
  end
  num_requests = num_requests + 1
  local request = { token = TOKEN .. num_requests, anchor = anchor, client = client }
  local older = running
  running = request
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = trigger_kind }
  params.partialResultToken = request.token
  -- This sends pending edits first: the position is one of the text as it is now.
  local _, id = client:request('inkling/inlineCompletion', params, function(error, result)
    if running ~= request then
      return
    end
    running = nil
    suggestion.offer(anchor, error and {} or items_of(result), true)
    if on_answer then
      on_answer()
    end
  end, anchor.buffer)
  request.id = id
  if older then
    -- After the new request, so that the server can hand on what it was writing for the old one.
    cancel(older)
  end
  return true
end

--- `$/progress` with one of our tokens: the list so far. True if it was ours.
---@param params lsp.ProgressParams
---@return boolean
function M.progress(params)
  if running and params.token == running.token then
    suggestion.offer(running.anchor, items_of(params.value), false)
    return true
  end
  return type(params.token) == 'string' and vim.startswith(params.token, TOKEN)
end

--- Want no answer any more.
function M.cancel()
  local request = running
  running = nil
  if request then
    cancel(request)
  end
end

return M
