-- Passes entries from a router to another holder, or to itself (which renews the lease). Entries that
-- somebody else holds by now are left alone, and are missing from what is returned.
--
--   {stream}   XPENDING, XCLAIM JUSTID   from -> to; the delivery count does not grow
--
-- KEYS[1] stream
-- ARGV[1] group, [2] from, [3] to, [4] idle in ms to start with, then entries

local passed = {}
for i = 5, #ARGV do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)[1]
  if pending and pending[2] == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, ARGV[i], 'IDLE', ARGV[4], 'JUSTID')
    passed[#passed + 1] = ARGV[i]
  end
end
return passed
