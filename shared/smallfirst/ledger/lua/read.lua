-- luacheck: read globals row_of
-- A router takes unread entries, up to so many, or until so many bytes of a stream are in: only here
-- is it known how large the next ones are. Comes after rows.lua.
--
--   {streams}   XREADGROUP   nobody -> this router
--
-- KEYS streams
-- ARGV[1] group, [2] router, [3] the most entries of each stream, [4] bytes of a stream that are enough,
-- ARGV[5] the field that is left out, then for each stream the bytes of an entry that is given whole
-- Returns for each stream its rows, as rows.lua has them

-- A call for each entry costs more than reading it. So a few are read at once where as many as large as
-- the largest so far would fit; what is too large among them is cut here, before the router has it.
local AT_ONCE = 8

local function take(stream, limit)
  local most, enough = tonumber(ARGV[3]), tonumber(ARGV[4])
  local rows, bytes, largest = {}, 0, 0
  while #rows < most and bytes < enough do
    local fitting = largest > 0 and math.floor((enough - bytes) / largest) or 1
    local count = math.max(1, math.min(AT_ONCE, fitting, most - #rows))
    local found = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count, 'STREAMS', stream, '>')
    if not found then break end
    for _, entry in ipairs(found[1][2]) do
      rows[#rows + 1] = row_of(entry[1], 0, entry[2], '', limit, ARGV[5])
      bytes, largest = bytes + rows[#rows][5], math.max(largest, rows[#rows][5])
    end
  end
  return rows
end

local taken = {}
for i, stream in ipairs(KEYS) do taken[i] = take(stream, tonumber(ARGV[5 + i])) end
return taken
