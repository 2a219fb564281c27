--- Insert-mode keys. A key that has nothing to do here keeps the meaning it had before.
local options = require('inkling.options')
local suggestion = require('inkling.suggestion')
local typed_text = require('inkling.typed_text')

local M = {}

---@class inkling.Binding
---@field call string A function of the module.
---@field description string
---@field needs_text boolean Only while ghost text is shown.

---@type table<string, inkling.Binding>
local BINDINGS = {
  accept = { call = 'accept()', description = 'accept the text', needs_text = true },
  accept_word = { call = 'accept_word()', description = 'accept a word', needs_text = true },
  accept_line = { call = 'accept_line()', description = 'accept a line', needs_text = true },
  dismiss = { call = 'dismiss()', description = 'hide the text', needs_text = true },
  next = { call = 'next()', description = 'next alternative', needs_text = false },
  previous = { call = 'previous()', description = 'previous alternative', needs_text = false },
  trigger = { call = 'complete()', description = 'complete now', needs_text = false },
}

--- What each of our keys did before, so that a second `setup` does not take our own mapping for it.
---@type table<string, string>
local before = {}

--- Whether a tab typed here is the text's own indentation: typing it is typing the text.
---@param text string
---@return boolean
local function begins_with_indentation(text)
  local blanks = text:match('^[ \t]*')
  local is_in_indentation = not typed_text.here().before:find('%S')
  return is_in_indentation and (blanks:find('\t') ~= nil or #blanks >= vim.fn.shiftwidth())
end

---@param lhs string
---@param needs_text boolean
---@return boolean
local function is_ours(lhs, needs_text)
  if not needs_text then
    return true
  end
  local shown = suggestion.shown()
  if not shown then
    return false
  end
  local is_tab = lhs:lower() == '<tab>'
  return not (
    is_tab and (vim.snippet.active({ direction = 1 }) or begins_with_indentation(shown.text))
  )
end

--- Keep what `lhs` does now under another name; the key itself if that is nothing.
---@param lhs string
---@return string
local function keep_previous(lhs)
  local mapping = vim.fn.maparg(lhs, 'i', false, true)
  if vim.tbl_isempty(mapping) or mapping.buffer == 1 then
    return lhs
  end
  local kept = ('<Plug>(inkling-previous-%s)'):format(lhs:gsub('[<>]', ''))
  mapping.lhs = kept
  mapping.lhsraw = vim.api.nvim_replace_termcodes(kept, true, true, true)
  mapping.lhsrawalt = nil
  vim.fn.mapset('i', false, mapping)
  return kept
end

---@param lhs string
---@param binding inkling.Binding
local function bind(lhs, binding)
  local previous = before[lhs] or keep_previous(lhs)
  before[lhs] = previous
  local command = ('<Cmd>lua require("inkling").%s<CR>'):format(binding.call)
  vim.keymap.set('i', lhs, function()
    return is_ours(lhs, binding.needs_text) and command or previous
  end, { expr = true, remap = previous ~= lhs, desc = 'Inkling: ' .. binding.description })
end

function M.set()
  for name, lhs in pairs(options.current.keys or {}) do
    if lhs then
      bind(lhs, BINDINGS[name])
    end
  end
end

return M
