--- `:checkhealth inkling`
local M = {}

local health = vim.health

local function check_version()
  local version = tostring(vim.version())
  if vim.fn.has('nvim-0.11') == 1 then
    health.ok('Neovim ' .. version)
  else
    health.error('Neovim ' .. version .. ' is too old', 'Install Neovim 0.11 or newer.')
  end
end

---@param cmd string[]
---@return boolean
local function check_program(cmd)
  local program = vim.fn.exepath(cmd[1])
  if program == '' then
    health.error(('`%s` is not on PATH'):format(cmd[1]), {
      'Install it: pip install "inkling-lsp[engine]"',
      "Or say where it is: require('inkling').setup({ cmd = { '/path/to/inkling', 'lsp' } })",
    })
    return false
  end
  health.ok('Server program: ' .. program)
  -- Before `lsp` stands what starts the program, be it `inkling` or `python -m inkling`.
  local command = vim.list_slice(cmd, 1, #cmd - 1)
  local ran, process = pcall(vim.system, vim.list_extend(command, { '--version' }), { text = true })
  local result = ran and process:wait(10000)
  if result and result.code == 0 then
    health.ok('Server version: ' .. vim.trim(result.stdout))
  else
    health.warn(('`%s --version` fails'):format(table.concat(command, ' ')), 'Install it again.')
  end
  return true
end

---@param client vim.lsp.Client
local function check_status(client)
  local answer = client:request_sync('inkling/status', vim.empty_dict(), 5000)
  local report = answer and answer.result
  if not report then
    health.error('The server does not answer', '`:Inkling restart` starts it again.')
    return
  end
  local where = report.where and report.where ~= '' and ', on ' .. report.where or ''
  local model = ('Model: %s (%s%s)'):format(report.model, report.kind, where)
  if report.state == 'ready' then
    health.ok(model)
  elseif report.state == 'starting' then
    health.info('The engine is starting, or waits for the first key')
  else
    health.warn(('Engine: %s'):format(report.state), report.reason)
  end
  if report.reason ~= '' then
    health.info('The last request got nothing: ' .. report.reason)
  end
end

local function check_clients()
  local lsp = require('inkling.client')
  local clients = lsp.all()
  if #clients == 0 then
    health.warn('No server is running', {
      'Open a file of one of the `filetypes` given to setup.',
      '`:Inkling restart` starts a server that ended.',
    })
    return
  end
  for _, client in ipairs(clients) do
    local num_buffers = vim.tbl_count(client.attached_buffers)
    health.ok(('Server for %s, %d buffers'):format(client.root_dir or 'single files', num_buffers))
    check_status(client)
  end
  if not lsp.is_enabled() then
    health.warn('Completing is paused or disabled', '`:Inkling enable` ends that.')
  end
end

--- The keys that something else has taken after us, or in this buffer.
local function check_keys()
  local keys = require('inkling.options').current.keys or {}
  local buffer = vim.fn.bufnr('#') > 0 and vim.fn.bufnr('#') or 0
  for name, lhs in vim.spairs(keys) do
    local mapping = lhs
      and vim.api.nvim_buf_call(buffer, function()
        return vim.fn.maparg(lhs, 'i', false, true)
      end)
    if not mapping then
      health.info(('%s: no key'):format(name))
    elseif vim.startswith(mapping.desc or '', 'Inkling: ') then
      health.ok(('%s: %s'):format(name, lhs))
    else
      local owner = mapping.desc or mapping.rhs or 'a Lua function'
      health.warn(('%s: %s is taken by another mapping (%s)'):format(name, lhs, owner), {
        'Leave it if that one hands on what it has no use for, as blink.cmp and nvim-cmp do.',
        'Call setup after the plugin that maps it, or choose another key: setup({ keys = … }).',
        "Or let that mapping ask first: require('inkling').accept() is true when it accepted.",
      })
    end
  end
end

function M.check()
  health.start('Inkling')
  check_version()
  local options = require('inkling.options')
  if check_program(options.current.cmd) then
    check_clients()
  end
  health.start('Inkling: keys')
  check_keys()
end

return M
