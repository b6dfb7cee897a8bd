-- Keeps a decision that is final, and lets another person have the job: it is free again at once, under a
-- start of its own, and hidden from whoever has answered it. Twice is as good as once.
--
--   {backlog}                                   XPENDING, XCLAIM JUSTID   the decided -> nobody
--   {slice}:decisions                           HGET, HDEL
--   {slice}:decided                             ZREM
--   {slice}:review:{task}                       ZSCORE
--   {slice}:earlier:{task}:{priority}:{entry}   HSET, PEXPIREAT   what was decided
--   {slice}:answered:{task}:{person}            ZADD, EXPIRE   the job, by when its wait ends
--   {notes}                                     XADD MAXLEN, EXPIRE   what is told of it, if anything
--
-- KEYS[1] backlog stream, KEYS[2] decisions, KEYS[3] decided, KEYS[4] review, KEYS[5] earlier,
-- KEYS[6] answered, KEYS[7] notes
-- ARGV[1] group, [2] entry, [3] the decision's JSON, [4] the person, [5] the person as a holder, [6] the
-- consumer of what was decided, [7] lease in ms, [8] the member of review, [9] seconds that a person's list
-- is kept, [10] the field of a note ('' for none), [11] the note's JSON, [12] the most notes, [13] seconds
-- that they are kept
-- Returns 1 where it was kept here, else 0: another has done so, or the job is over.

local DAY_MS = 86400000
local stream, entry, member = KEYS[1], ARGV[2], KEYS[1] .. ' ' .. ARGV[2]
if redis.call('HGET', KEYS[2], member) ~= ARGV[3] then return 0 end
local pending = redis.call('XPENDING', stream, ARGV[1], entry, entry, 1)[1]
if not pending or pending[2] ~= ARGV[6] then return 0 end
local time = redis.call('TIME')
-- What is not listed any more is due.
local due = redis.call('ZSCORE', KEYS[4], ARGV[8]) or time[1] * 1000
redis.call('HSET', KEYS[5], ARGV[4], ARGV[3])
redis.call('PEXPIREAT', KEYS[5], string.format('%.0f', due + DAY_MS))
redis.call('ZADD', KEYS[6], due, ARGV[8])
redis.call('EXPIRE', KEYS[6], ARGV[9])
if ARGV[10] ~= '' then
  redis.call('XADD', KEYS[7], 'MAXLEN', '=', ARGV[12], '*', ARGV[10], ARGV[11])
  redis.call('EXPIRE', KEYS[7], ARGV[13])
end
redis.call('XCLAIM', stream, ARGV[1], ARGV[5], 0, entry, 'IDLE', ARGV[7], 'JUSTID')
redis.call('HDEL', KEYS[2], member)
redis.call('ZREM', KEYS[3], member)
return 1
