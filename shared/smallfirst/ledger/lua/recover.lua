-- A router takes over entries whose holder is gone: its lease ran out, or the message that should
-- have brought them to a worker was lost.
--
--   {stream}   XPENDING, XCLAIM JUSTID, XRANGE   any holder -> this router
--
-- KEYS[1] stream
-- ARGV[1] group, [2] router, [3] lease in ms, [4] patience in ms with the queue's consumer,
-- ARGV[5] the queue's consumer, [6] the most entries to take
-- Returns {{entry, starts, fields, holder}, ...}: the first delivery was a router's read, the others were starts

local taken = {}
local idle = redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', ARGV[6])
for _, pending in ipairs(idle) do
  local entry, holder = pending[1], pending[2]
  if holder ~= ARGV[5] or pending[3] >= tonumber(ARGV[4]) then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, entry, 'JUSTID')
    local found = redis.call('XRANGE', KEYS[1], entry, entry)[1]
    if found then
      taken[#taken + 1] = { entry, pending[4] - 1, found[2], holder }
    else
      redis.call('XACK', KEYS[1], ARGV[1], entry)
    end
  end
end
return taken
