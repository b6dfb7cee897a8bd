-- A person takes a decision back that is not final yet: the job is in that person's hands again.
--
--   {slice}:decisions   HGET, HDEL
--   {slice}:decided     ZSCORE, ZREM
--   {backlog}           XPENDING, XCLAIM JUSTID   the decided -> this person
--
-- KEYS[1] backlog stream, KEYS[2] decisions, KEYS[3] decided
-- ARGV[1] group, [2] entry, [3] the person, [4] the decision's JSON as this person made it, [5] the consumer
-- of what was decided, [6] idle in ms to begin with
-- Returns which start of the job is this person's now; 0 where the decision is final, or another's.

local member = KEYS[1] .. ' ' .. ARGV[2]
local final = redis.call('ZSCORE', KEYS[3], member)
local time = redis.call('TIME')
if not final or tonumber(final) <= time[1] * 1000 + math.floor(time[2] / 1000) then return 0 end
if redis.call('HGET', KEYS[2], member) ~= ARGV[4] then return 0 end
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)[1]
if not pending or pending[2] ~= ARGV[5] then return 0 end
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, ARGV[2], 'IDLE', ARGV[6], 'RETRYCOUNT', pending[4] + 1,
  'JUSTID')
redis.call('HDEL', KEYS[2], member)
redis.call('ZREM', KEYS[3], member)
return pending[4]
