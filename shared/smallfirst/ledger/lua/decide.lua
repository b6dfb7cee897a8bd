-- A person decides on a job: the decision is held for a while, in which it may be taken back, and then
-- any desk settles it. By the start it is known whether the answer is to the page that was shown last:
-- where the lease ran out and nobody has started the job since, it counts.
--
--   {backlog}                        XPENDING, XCLAIM JUSTID   whoever has it -> the decided
--   {slice}:result:{producer}:{id}   EXISTS
--   {slice}:decisions                HSET, EXPIRE   what was decided
--   {slice}:decided                  ZADD, EXPIRE   when it becomes final, in ms
--
-- KEYS[1] backlog stream, KEYS[2] result, KEYS[3] decisions, KEYS[4] decided
-- ARGV[1] group, [2] entry, [3] start, [4] the decision's JSON, [5] ms until it is final, [6] the consumer
-- of what was decided, [7] seconds that a decision is kept at most
-- Returns {'decided', ms at which it is final}; {'answered'} where an answer was given before;
-- {'lost'} where somebody else has started it; {'ended'} where it is over.

local stream, group, entry, decided = KEYS[1], ARGV[1], ARGV[2], ARGV[6]
local pending = redis.call('XPENDING', stream, group, entry, entry, 1)[1]
if not pending or redis.call('EXISTS', KEYS[2]) == 1 then return { 'ended' } end
if pending[2] == decided then return { 'answered' } end
if pending[4] - 1 ~= tonumber(ARGV[3]) then return { 'lost' } end
local time = redis.call('TIME')
local final = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[5]
local member = stream .. ' ' .. entry
redis.call('HSET', KEYS[3], member, ARGV[4])
redis.call('EXPIRE', KEYS[3], ARGV[7])
redis.call('ZADD', KEYS[4], final, member)
redis.call('EXPIRE', KEYS[4], ARGV[7])
-- A start of its own: no page that was open before keeps, skips or answers it any more.
redis.call('XCLAIM', stream, group, decided, 0, entry, 'RETRYCOUNT', pending[4] + 1, 'JUSTID')
return { 'decided', final }
