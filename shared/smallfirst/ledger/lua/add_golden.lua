-- luacheck: read globals add_check
-- Puts a golden row before people, in the form of a check. Comes after checks.lua.
--
--   {slice}:backlog:@people.@blind.{task}:bulk, {slice}:review:@blind.{task}, {slice}:audit:{task}
--
-- KEYS[1] the checks, KEYS[2] review, KEYS[3] audit
-- ARGV[1] namespace, [2] task, [3] job, [4] slip, [5] check, [6] when it is dropped, in ms
-- Returns 1, or 0 where there is no room.

return add_check(ARGV[1], ARGV[2], '1', ARGV[3], ARGV[4], ARGV[5], ARGV[6]) and 1 or 0
