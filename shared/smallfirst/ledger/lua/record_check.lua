-- luacheck: read globals end_check
-- Ends a blind check that a person has answered, and records how: once, since it is gone by then. Comes
-- after checks.lua.
--
--   {slice}:backlog:@people.@blind.{task}:bulk   XPENDING, XRANGE, XDEL, XACK
--   {slice}:review:@blind.{task}                 ZREM
--   {slice}:audit:{task}                         HINCRBY   bytes
--   {slice}:audited:{task}                       XADD MAXLEN, EXPIRE   how it ended
--
-- KEYS[1] the checks, KEYS[2] audited
-- ARGV[1] namespace, [2] task, [3] entry, [4] the consumer of what was decided, [5] the record's JSON,
-- ARGV[6] the most records, [7] seconds that they are kept
-- Returns 1 where it was ended here, else 0.

local pending = redis.pcall('XPENDING', KEYS[1], 'pool', ARGV[3], ARGV[3], 1)
if pending.err or not pending[1] or pending[1][2] ~= ARGV[4] then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '=', ARGV[6], '*', 'record', ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[7])
return end_check(ARGV[1], ARGV[2], ARGV[3]) and 1 or 0
