--- `:Inkling` and its subcommands.
local lsp = require('inkling.client')
local notice = require('inkling.notice')
local page = require('inkling.page')
local pause = require('inkling.pause')
local session = require('inkling.session')
local status = require('inkling.status')
local write_function = require('inkling.write_function')

local M = {}

local DEFAULT_PAUSE_MINUTES = 15

--- Ask the server of this buffer, or any other if it has none.
---@param method string
---@param use fun(result: table, client: vim.lsp.Client)
local function ask(method, use)
  local client = lsp.client_of(0) or lsp.all()[1]
  if not client then
    notice.warn('no server is running; `:checkhealth inkling` tells why.')
    return
  end
  client:request(method, vim.empty_dict(), function(error, result)
    if error or not result then
      notice.warn(('the server does not answer `%s`; update it.'):format(method))
    else
      use(result, client)
    end
  end)
end

---@param method string
---@param title string
local function show_page(method, title)
  ask(method, function(result)
    page.show(title, result.text)
  end)
end

---@param report inkling.Status
---@return string
local function sentence_of(report)
  local parts = { report.model ~= '' and report.model or 'no model', report.state }
  if report.where and report.where ~= '' then
    table.insert(parts, 2, 'on ' .. report.where)
  end
  if report.reason ~= '' then
    table.insert(parts, report.reason)
  end
  local counters = report.counters or {}
  if counters.requests then
    table.insert(
      parts,
      ('%d requests, %d accepted'):format(counters.requests, counters.accepted or 0)
    )
  end
  return table.concat(parts, ', ') .. '.'
end

---@param minutes? string
local function pause_for(minutes)
  local number = minutes and tonumber(minutes) or DEFAULT_PAUSE_MINUTES
  if minutes and (not tonumber(minutes) or number <= 0) then
    notice.warn('the minutes to pause must be a number above 0, such as `:Inkling pause 30`.')
    return
  end
  pause.pause(number)
  session.leave()
  notice.tell(('paused for %g minutes; `:Inkling enable` ends it.'):format(number))
end

local function complete_now()
  if vim.startswith(vim.api.nvim_get_mode().mode, 'i') then
    session.trigger()
  else
    vim.cmd.startinsert()
  end
end

local function open_log()
  ask('inkling/status', function(report)
    if report.log and vim.uv.fs_stat(report.log) then
      vim.cmd.split(vim.fn.fnameescape(report.log))
    else
      vim.cmd.split(vim.fn.fnameescape(vim.lsp.log.get_filename()))
    end
  end)
end

---@type table<string, fun(argument?: string)>
local SUBCOMMANDS = {
  enable = function()
    pause.set_enabled(true)
  end,
  disable = function()
    pause.set_enabled(false)
    session.leave()
  end,
  toggle = function()
    pause.set_enabled(not lsp.is_enabled())
    session.leave()
  end,
  pause = pause_for,
  snooze = pause_for,
  status = function()
    ask('inkling/status', function(report, client)
      status.set(client.id, report)
      notice.tell(sentence_of(report))
    end)
  end,
  statistics = function()
    show_page('inkling/statistics', 'statistics')
  end,
  trace = function()
    show_page('inkling/trace', 'trace')
  end,
  log = open_log,
  restart = lsp.restart,
  ['function'] = write_function.start,
  complete = complete_now,
}

---@param lead string
---@param line string
---@return string[]
local function candidates(lead, line)
  if line:match('^%s*%S+%s+%S+%s') then
    return {}
  end
  local names = vim.tbl_filter(function(name)
    return vim.startswith(name, lead)
  end, vim.tbl_keys(SUBCOMMANDS))
  table.sort(names)
  return names
end

function M.create()
  vim.api.nvim_create_user_command('Inkling', function(command)
    local name, argument = unpack(command.fargs)
    local run = SUBCOMMANDS[name or 'status']
    if run then
      run(argument)
    else
      local known = table.concat(candidates('', 'Inkling '), ', ')
      notice.warn(('there is no `:Inkling %s`, only %s.'):format(name, known))
    end
  end, { nargs = '*', complete = candidates, desc = 'Inkling: local code completion' })
end

return M
