-- luacheck: read globals end_check
-- Drops the blind checks of a task that nobody answered in time. What was decided is settled first, by a
-- desk, unless none has come for an hour. Comes after checks.lua.
--
--   {slice}:review:@blind.{task}                 ZRANGEBYSCORE, ZREM
--   {slice}:backlog:@people.@blind.{task}:bulk   XPENDING, XRANGE, XDEL, XACK
--   {slice}:audit:{task}                         HINCRBY   bytes, dropped
--
-- KEYS[1] review, KEYS[2] the checks, KEYS[3] audit
-- ARGV[1] namespace, [2] task, [3] the most checks, [4] the consumer of what was decided
-- Returns how many were dropped.

local LATE_MS = 3600000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local num_dropped = 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])) do
  local entry = string.match(member, '([^:]+)$')
  local found = redis.pcall('XPENDING', KEYS[2], 'pool', entry, entry, 1)
  local pending = not found.err and found[1]
  local is_decided = pending and pending[2] == ARGV[4] and pending[3] < LATE_MS
  if not is_decided and end_check(ARGV[1], ARGV[2], entry) then num_dropped = num_dropped + 1 end
end
if num_dropped > 0 then redis.call('HINCRBY', KEYS[3], 'dropped', num_dropped) end
return num_dropped
