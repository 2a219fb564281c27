--- What has been typed since a text was asked for, and what that leaves of the text.
---
--- The server knows this as well and better. It is here so that the text on screen follows a key in
--- the same event, before the server has heard of it.
local M = {}

---@class inkling.Anchor Where a text was asked for.
---@field buffer integer
---@field row integer 0-based.
---@field before string The line left of the cursor.
---@field after string The line right of the cursor.
---@field num_lines integer Lines of the buffer.

---@return inkling.Anchor
function M.here()
  local buffer = vim.api.nvim_get_current_buf()
  local row, column = unpack(vim.api.nvim_win_get_cursor(0))
  local line = vim.api.nvim_buf_get_lines(buffer, row - 1, row, false)[1] or ''
  return {
    buffer = buffer,
    row = row - 1,
    before = line:sub(1, column),
    after = line:sub(column + 1),
    num_lines = vim.api.nvim_buf_line_count(buffer),
  }
end

--- What stands between an anchor and the cursor, and what an editor has put behind the cursor by
--- itself; nil if the text around them is another.
---@param anchor inkling.Anchor
---@param here inkling.Anchor
---@return string? typed
---@return string? closer
function M.since(anchor, here)
  local num_new = here.row - anchor.row
  if
    anchor.buffer ~= here.buffer
    or num_new < 0
    or here.num_lines - anchor.num_lines ~= num_new
    or not vim.endswith(here.after, anchor.after)
  then
    return nil
  end
  local closer = here.after:sub(1, #here.after - #anchor.after)
  if closer ~= '' and not closer:find('^[%)%]}"\'`]+$') then
    return nil
  end
  local lines = { here.before }
  if num_new > 0 then
    lines = vim.api.nvim_buf_get_lines(here.buffer, anchor.row, here.row, false)
    table.insert(lines, here.before)
  end
  if not vim.startswith(lines[1], anchor.before) then
    return nil
  end
  lines[1] = lines[1]:sub(#anchor.before + 1)
  return table.concat(lines, '\n'), closer
end

local OPENERS = { [')'] = '(', [']'] = '[', ['}'] = '{' }

--- What of `rest` fits before a `closer`; nil if `rest` does not close what the closer closes.
---@param rest string
---@param closer string
---@return string?
local function before_closer(rest, closer)
  if vim.endswith(rest, closer) then
    return rest:sub(1, #rest - #closer)
  end
  local mark = closer:sub(1, 1)
  local depth = 0
  for at = 1, #rest do
    local char = rest:sub(at, at)
    if char == mark then
      if depth == 0 then
        return rest:sub(1, at - 1)
      end
      depth = depth - 1
    elseif char == OPENERS[mark] then
      depth = depth + 1
    end
  end
end

--- What of `text`, asked for at `anchor`, is left at `here`; nil if something else was typed.
---@param text string
---@param anchor inkling.Anchor
---@param here inkling.Anchor
---@return string? rest
---@return string? typed
function M.rest_of(text, anchor, here)
  local typed, closer = M.since(anchor, here)
  if not typed or not vim.startswith(text, typed) then
    return nil
  end
  local rest = text:sub(#typed + 1)
  if closer ~= '' then
    return before_closer(rest, closer), typed
  end
  return rest, typed
end

return M
