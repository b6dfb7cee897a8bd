-- A worker gives back what it has started, for a router to take over. Left alone are entries that
-- somebody else holds by now.
--
--   {backlog}   XPENDING, XCLAIM JUSTID   this worker -> itself, as if it had been silent for a while
--
-- KEYS[1] backlog stream
-- ARGV[1] group, [2] worker, [3] idle in ms, [4] '1' to take back the start, then pairs: entry, start
-- Returns the entries given back.
--
-- A start that is taken back leaves its number to the next one. So a worker has let go of an entry
-- before it gives it back, and neither keeps nor settles it from then on; and as the number is
-- compared, one that is given back twice, because the first reply was lost, loses one start alone.

local given = {}
for i = 5, #ARGV, 2 do
  local entry = ARGV[i]
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], entry, entry, 1)[1]
  if pending and pending[2] == ARGV[2] and pending[4] - 1 == tonumber(ARGV[i + 1]) then
    local deliveries = ARGV[4] == '1' and pending[4] - 1 or pending[4]
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, entry,
      'IDLE', ARGV[3], 'RETRYCOUNT', deliveries, 'JUSTID')
    given[#given + 1] = entry
  end
end
return given
