--- The suggestion: what the server would insert, which alternative is chosen, and how much of it the
--- user has typed meanwhile.
local ghost = require('inkling.ghost')
local options = require('inkling.options')
local typed_text = require('inkling.typed_text')

local M = {}

---@class inkling.Item
---@field text string With `\n` as line end, whatever the file has.
---@field id? string What `inkling.accepted` is told.

---@class inkling.Suggestion
---@field anchor inkling.Anchor Where it was asked for.
---@field items inkling.Item[] The text and its alternatives, never empty.
---@field chosen integer

---@type inkling.Suggestion?
local current

---@class inkling.Remainder What of the chosen text is left at the cursor.
---@field text string
---@field typed string
---@field id? string

---@return inkling.Remainder?
local function remainder(here)
  if not current then
    return nil
  end
  local item = current.items[current.chosen]
  local text, typed = typed_text.rest_of(item.text, current.anchor, here)
  if text and typed and text ~= '' then
    return { text = text, typed = typed, id = item.id }
  end
end

--- What is on screen, as of the text and cursor of this moment; nil for nothing.
---@return inkling.Remainder?
function M.shown()
  if not current or options.is_hidden() then
    return nil
  end
  return remainder(typed_text.here())
end

--- Draw what is left at the cursor. A suggestion that does not fit there any more is gone.
function M.follow()
  if not current then
    return
  end
  local here = typed_text.here()
  local left = remainder(here)
  if not left then
    M.clear()
  elseif options.is_hidden() then
    ghost.clear()
  else
    ghost.draw(here.buffer, here.row, here.before, here.after, left.text)
  end
end

--- Which of `items`, asked for at `anchor`, carries on what is on screen, else the first.
---@param left inkling.Remainder?
---@param items inkling.Item[]
---@param anchor inkling.Anchor
---@param here inkling.Anchor
---@return integer
local function same_choice(left, items, anchor, here)
  for index, item in ipairs(left and items or {}) do
    local rest = typed_text.rest_of(item.text, anchor, here)
    if rest and left and (vim.startswith(rest, left.text) or vim.startswith(left.text, rest)) then
      return index
    end
  end
  return 1
end

--- Take what the server answered for a place. Nothing clears the screen.
---@param anchor inkling.Anchor
---@param items inkling.Item[]
---@param is_final boolean
function M.offer(anchor, items, is_final)
  local here = typed_text.here()
  local left = remainder(here)
  local chosen = same_choice(left, items, anchor, here)
  if not is_final and left then
    local rest = items[chosen] and typed_text.rest_of(items[chosen].text, anchor, here) or ''
    if #rest < #left.text and vim.startswith(left.text, rest) then
      return -- The beginning of what is on screen: the rest of it is on its way.
    end
  end
  if #items == 0 then
    M.clear()
    return
  end
  current = { anchor = anchor, items = items, chosen = chosen }
  M.follow()
end

---@return integer
function M.num_items()
  return current and #current.items or 0
end

--- Show another of the alternatives.
---@param step integer 1 for the next, -1 for the previous.
function M.cycle(step)
  if current then
    current.chosen = (current.chosen - 1 + step) % #current.items + 1
    M.follow()
  end
end

function M.clear()
  current = nil
  ghost.clear()
end

return M
