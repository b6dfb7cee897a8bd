-- Gives the decisions that are final, for a desk to settle. Several desks may be given the same: who
-- settles first, does it. Decisions on what is over are dropped.
--
--   {slice}:decisions   HGET, HDEL
--   {slice}:decided     ZRANGEBYSCORE, ZREM
--   {backlog}           XPENDING, XRANGE
--
-- KEYS[1] decisions, KEYS[2] decided
-- ARGV[1] group, [2] the most decisions
-- Returns {{stream, entry, starts, fields, holder, the decision's JSON}, ...}

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken = {}

local function row_of(member)
  local stream, entry = string.match(member, '^(.+) (%S+)$')
  local decision = redis.call('HGET', KEYS[1], member)
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  local pending = found and redis.call('XPENDING', stream, ARGV[1], entry, entry, 1)[1]
  if not decision or not pending then return nil end
  return { stream, entry, pending[4] - 1, found[2], pending[2], decision }
end

for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[2])) do
  local row = row_of(member)
  if row then
    taken[#taken + 1] = row
  else
    redis.call('HDEL', KEYS[1], member)
    redis.call('ZREM', KEYS[2], member)
  end
end
return taken
