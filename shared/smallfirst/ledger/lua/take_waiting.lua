-- A router takes back the oldest entries of those that wait for a backlog to have room.
--
--   {stream}   XPENDING, XCLAIM JUSTID, XRANGE   the waiting consumer -> this router
--
-- KEYS[1] stream
-- ARGV[1] group, [2] router, [3] the consumer, [4] the most entries, [5] bytes after which it is enough
-- Returns {{entry, starts, fields, holder}, ...}; none of them was started

local taken, num_bytes = {}, 0
for _, pending in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', ARGV[4], ARGV[3])) do
  if num_bytes >= tonumber(ARGV[5]) then break end
  local entry = pending[1]
  local found = redis.call('XRANGE', KEYS[1], entry, entry)[1]
  if found then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, entry, 'JUSTID')
    for _, word in ipairs(found[2]) do num_bytes = num_bytes + #word end
    taken[#taken + 1] = { entry, 0, found[2], ARGV[3] }
  else
    redis.call('XACK', KEYS[1], ARGV[1], entry)
  end
end
return taken
