-- luacheck: read globals row_of is_waiting
-- A router takes over entries whose holder is gone: its lease ran out, or the message that should
-- have brought them to a worker was lost. Holder by holder, the queue's consumer last: what waits
-- there in patience stands before nobody. Those that wait for a pool to have room have no such
-- holder. Comes after rows.lua and holders.lua.
--
--   {stream}   XPENDING, XCLAIM JUSTID, XRANGE, XACK   any holder -> this router
--
-- KEYS[1] stream
-- ARGV[1] group, [2] router, [3] lease in ms, [4] patience in ms with the queue's consumer,
-- ARGV[5] the queue's consumer, [6] the most entries to take, [7] bytes that are enough,
-- ARGV[8] the field that is left out of what was never started, [9] the bytes of an entry that is given whole
-- Returns rows, as rows.lua has them: the first delivery was a router's read, the others were starts

local stream, group, router, queue = KEYS[1], ARGV[1], ARGV[2], ARGV[5]
local most, enough, limit = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[9])
local taken, bytes = {}, 0

local function take(pending, holder)
  local entry = pending[1]
  redis.call('XCLAIM', stream, group, router, 0, entry, 'JUSTID')
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  if not found then
    redis.call('XACK', stream, group, entry)
    return
  end
  local starts = pending[4] - 1
  taken[#taken + 1] = row_of(entry, starts, found[2], holder, limit, starts == 0 and ARGV[8] or '')
  bytes = bytes + taken[#taken][5]
end

local function take_from(holder, idle)
  local left = most - #taken
  if left < 1 or bytes >= enough then return end
  for _, pending in ipairs(redis.call('XPENDING', stream, group, 'IDLE', idle, '-', '+', left, holder)) do
    if bytes >= enough then return end
    take(pending, holder)
  end
end

local is_queued = false
for _, each in ipairs(redis.call('XPENDING', stream, group)[4] or {}) do
  if each[1] == queue then
    is_queued = true
  elseif not is_waiting(each[1]) then
    take_from(each[1], ARGV[3])
  end
end
if is_queued then take_from(queue, ARGV[4]) end
return taken
