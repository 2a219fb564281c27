--- Inkling in Neovim: starts `inkling lsp` and shows its completions as ghost text.
local M = {}

--- Start Inkling. May be called again: another `cmd` and other `settings` hold after a restart.
---@param given? inkling.Options
function M.setup(given)
  if vim.fn.has('nvim-0.11') == 0 then
    require('inkling.notice').warn('it needs Neovim 0.11 or newer.')
    return
  end
  require('inkling.options').set(given or {})
  require('inkling.ghost').set_highlight()
  require('inkling.session').start()
  require('inkling.keys').set()
  require('inkling.commands').create()
  require('inkling.client').start()
end

--- Accept the text shown, as one undo step.
---@return boolean accepted False when nothing is shown: the caller's key keeps its own meaning.
function M.accept()
  return require('inkling.accept').all()
end

--- Accept the next word of the text shown.
---@return boolean accepted
function M.accept_word()
  return require('inkling.accept').word()
end

--- Accept the rest of the line, or the next line, of the text shown.
---@return boolean accepted
function M.accept_line()
  return require('inkling.accept').line()
end

--- Show the next alternative; asks for them the first time.
function M.next()
  require('inkling.session').cycle(1)
end

--- Show the previous alternative.
function M.previous()
  require('inkling.session').cycle(-1)
end

--- Hide the text until something is typed.
---@return boolean dismissed
function M.dismiss()
  return require('inkling.session').dismiss()
end

--- Ask now, in Insert mode, with alternatives.
function M.complete()
  require('inkling.session').trigger()
end

--- Whether ghost text is on screen.
---@return boolean
function M.is_visible()
  return require('inkling.suggestion').shown() ~= nil
end

--- Look again whether ghost text is to be hidden: call it when `hide_when` has become another.
function M.refresh()
  require('inkling.suggestion').follow()
end

--- A short text for the statusline: the model, or why there is nothing.
---@return string
function M.statusline()
  return require('inkling.statusline').text()
end

return M
