--- Draws ghost text. Owns the extmark, of which there is one: the cursor is in one place.
local M = {}

local namespace = vim.api.nvim_create_namespace('inkling')
local GROUP = 'InklingGhost'
-- One id for all, so that drawing anew replaces the old text in one step, without a frame between.
local ID = 1

---@type integer? The buffer that has the extmark.
local drawn_in

function M.set_highlight()
  local is_new = vim.fn.hlexists('ComplHint') == 1 -- Neovim 0.12
  vim.api.nvim_set_hl(0, GROUP, { link = is_new and 'ComplHint' or 'Comment', default = true })
end

--- A tab in virtual text does not reach to the next tab stop: blanks do.
---@param line string
---@param column integer Where the line begins on screen.
---@return string
local function without_tabs(line, column)
  local shown = ''
  for piece, tab in line:gmatch('([^\t]*)(\t?)') do
    shown = shown .. piece
    if tab ~= '' then
      local at = column + vim.fn.strdisplaywidth(shown, column)
      shown = shown .. (' '):rep(vim.fn.strdisplaywidth('\t', at))
    end
  end
  return shown
end

--- Show `text` at a place of the current buffer, between `before` and `after` in its line.
---@param buffer integer
---@param row integer
---@param before string
---@param after string
---@param text string
function M.draw(buffer, row, before, after, text)
  if drawn_in and drawn_in ~= buffer then
    M.clear()
  end
  local lines = vim.split(text, '\n', { plain = true })
  local first = without_tabs(lines[1], vim.fn.strdisplaywidth(before))
  local virt_text = { { first, GROUP } }
  local virt_lines = {}
  for index = 2, #lines do
    virt_lines[index - 1] = { { without_tabs(lines[index], 0), GROUP } }
  end
  local covers = #lines > 1 and after:find('%S') ~= nil
  if covers then
    -- What follows the cursor goes behind the last line, where accepting will put it.
    local gap = vim.fn.strdisplaywidth(after) - vim.fn.strdisplaywidth(first)
    table.insert(virt_text, { (' '):rep(math.max(gap, 0)), 'Normal' })
    table.insert(virt_lines[#virt_lines], { after, 'Normal' })
  end
  vim.api.nvim_buf_set_extmark(buffer, namespace, row, #before, {
    id = ID,
    virt_text = virt_text,
    virt_text_pos = covers and 'overlay' or 'inline',
    virt_lines = #virt_lines > 0 and virt_lines or nil,
    hl_mode = covers and 'replace' or 'combine',
    undo_restore = false,
  })
  drawn_in = buffer
end

function M.clear()
  if drawn_in and vim.api.nvim_buf_is_valid(drawn_in) then
    vim.api.nvim_buf_del_extmark(drawn_in, namespace, ID)
  end
  drawn_in = nil
end

return M
