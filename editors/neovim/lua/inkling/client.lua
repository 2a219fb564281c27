--- The language server's client: how it is configured, started, stopped and restarted.
local notice = require('inkling.notice')
local options = require('inkling.options')
local status = require('inkling.status')

local M = {}

local NAME = 'inkling'
local STOP_PATIENCE_MS = 2000

-- What Neovim calls some languages, and what the protocol calls them.
local LANGUAGE_IDS = { cs = 'csharp', sh = 'shellscript', bash = 'shellscript' }

--- Clients that end because we said so.
---@type table<integer, true>
local stopping = {}

--- What `:Inkling enable` and `:Inkling disable` said; nil as long as the settings decide.
---@type boolean?
local enabled

---@return table
local function settings()
  local found = vim.tbl_extend('force', options.current.settings, { enabled = enabled })
  return next(found) and found or vim.empty_dict()
end

--- The sentence of the core on a server that ended says neither whose it is nor what to do, so it is
--- told that all is well and the user hears ours.
---@param dispatchers vim.lsp.rpc.Dispatchers
---@return vim.lsp.rpc.PublicClient
local function start_process(dispatchers)
  local told = vim.tbl_extend('force', dispatchers, {
    on_exit = function(code, signal)
      -- First of all: what the core does at the end forgets who was to stop.
      vim.schedule(function()
        M.on_process_end(code, signal)
      end)
      dispatchers.on_exit(0, 0)
    end,
  })
  return vim.lsp.rpc.start(options.current.cmd, told)
end

---@param code integer
---@param signal integer
function M.on_process_end(code, signal)
  local was_wanted = next(stopping) == nil and vim.v.exiting == vim.NIL
  if was_wanted and (code ~= 0 or signal ~= 0) then
    notice.warn('the server ended unexpectedly; `:Inkling restart` starts it again.')
  end
end

---@return lsp.ClientCapabilities
local function capabilities()
  local found = vim.lsp.protocol.make_client_capabilities()
  -- Neovim 0.11 does not say so by itself, and the server would offer a completion menu instead.
  found.textDocument.inlineCompletion = { dynamicRegistration = false }
  return found
end

---@return vim.lsp.Config
local function config()
  local filetypes = options.current.filetypes
  return {
    cmd = start_process,
    filetypes = filetypes ~= '*' and filetypes or nil,
    root_markers = options.current.root_markers,
    capabilities = capabilities(),
    get_language_id = function(_, filetype)
      return LANGUAGE_IDS[filetype] or filetype
    end,
    before_init = function(params)
      params.initializationOptions = settings()
    end,
    on_init = function(client)
      -- The ghost text is ours: nothing else in Neovim shall ask for it and draw it twice.
      client.server_capabilities.inlineCompletionProvider = nil
      client:request('inkling/status', vim.empty_dict(), function(_, report)
        if report then
          status.set(client.id, report)
        end
      end)
    end,
    on_exit = function(_, _, client_id)
      vim.schedule(function()
        stopping[client_id] = nil
        status.forget(client_id)
      end)
    end,
    handlers = {
      ['inkling/didChangeStatus'] = function(_, report, context)
        status.set(context.client_id, report)
      end,
      ['$/progress'] = function(error, params, context)
        if not require('inkling.progress').take(params) then
          vim.lsp.handlers['$/progress'](error, params, context)
        end
      end,
      ['window/showMessage'] = function(_, params)
        local level = params.type == 1 and vim.log.levels.ERROR or vim.log.levels.WARN
        notice.tell(
          (params.message:gsub('^Inkling: ', '')),
          params.type > 2 and vim.log.levels.INFO or level
        )
      end,
    },
  }
end

--- Have the server started for every buffer it is for.
function M.start()
  local program = options.current.cmd[1]
  if vim.fn.executable(program) == 0 then
    notice.warn(
      ('`%s` is not on PATH: install it with `pip install "inkling-lsp[engine]"`, or set `cmd`.'):format(
        program
      )
    )
    return
  end
  vim.lsp.config[NAME] = config()
  vim.lsp.enable(NAME)
end

---@return vim.lsp.Client[]
function M.all()
  return vim.lsp.get_clients({ name = NAME })
end

--- The client of a buffer, once it can be asked.
---@param buffer integer
---@return vim.lsp.Client?
function M.client_of(buffer)
  return vim.lsp.get_clients({ name = NAME, bufnr = buffer })[1]
end

--- End the servers, and start them again when they are gone.
function M.restart()
  local clients = M.all()
  for _, client in ipairs(clients) do
    stopping[client.id] = true
  end
  vim.lsp.enable(NAME, false)
  vim.defer_fn(function()
    for _, client in ipairs(clients) do
      if not client:is_stopped() then
        client:stop(true)
      end
    end
  end, STOP_PATIENCE_MS)
  local timer = assert(vim.uv.new_timer())
  timer:start(0, 20, function()
    vim.schedule(function()
      if not timer:is_closing() and #M.all() == 0 then
        timer:close()
        M.start()
      end
    end)
  end)
end

---@return boolean
function M.is_enabled()
  return enabled ~= false
end

--- Complete or not, in all buffers, until further notice.
---@param value boolean
function M.set_enabled(value)
  enabled = value
  for _, client in ipairs(M.all()) do
    client:notify('workspace/didChangeConfiguration', { settings = settings() })
  end
  status.changed()
end

--- A renamed buffer is a new document: close it under its old name, open it under the new one.
---@param buffer integer
function M.follow_rename(buffer)
  local client = M.client_of(buffer)
  if not client then
    return
  end
  vim.lsp.buf_detach_client(buffer, client.id)
  -- Not at BufFilePost, which does not come when the name is refused.
  vim.schedule(function()
    if vim.api.nvim_buf_is_loaded(buffer) and not client:is_stopped() then
      vim.lsp.buf_attach_client(buffer, client.id)
    end
  end)
end

return M
