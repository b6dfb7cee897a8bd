-- luacheck: read globals is_worker group_of people_of
-- A router takes over entries of jobs whose deadline has passed, wherever they wait: unread, held by a
-- router, waiting for room, or queued. What a worker has in hand the worker ends itself; and what a
-- person has, the person, until that lease is over. Comes after holders.lua.
--
--   {slice}:due        ZRANGEBYSCORE, ZADD, ZREM   jobs by deadline; looked at again after a while
--   {slice}:job:{producer}:{id}   HMGET            where the job is
--   {stream}        XPENDING, XCLAIM JUSTID, XRANGE   its entry: any holder but a worker -> this router
--
-- KEYS[1] due
-- ARGV[1] namespace, [2] router, [3] the most jobs, [4] bytes of entries after which it is enough,
-- ARGV[5] ms after which a job that did not end is looked at again, [6] a person's longest lease in ms
-- Returns {jobs looked at, {stream, entry, starts, fields, holder}, ...}; the holder is '' where nobody
-- has read the entry.

local ns, router = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken, num_bytes = { 0 }, 0

local function is_in_hand(pending, stream)
  if not pending or not is_worker(pending[2]) then return false end
  return not people_of(ns, stream) or pending[3] < tonumber(ARGV[6])
end

local function take(stream, entry)
  local group = group_of(ns, stream)
  local pending = redis.call('XPENDING', stream, group, entry, entry, 1)[1]
  if is_in_hand(pending, stream) then return true end
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  if not found then return false end
  if pending then redis.call('XCLAIM', stream, group, router, 0, entry, 'JUSTID') end
  for _, word in ipairs(found[2]) do num_bytes = num_bytes + #word end
  local starts, holder = pending and pending[4] - 1 or 0, pending and pending[2] or ''
  taken[#taken + 1] = { stream, entry, starts, found[2], holder }
  return true
end

-- Redis lets a script that has written go on where memory is full, and what ends makes room. This write
-- needs no memory, and changes nothing.
redis.call('ZREM', KEYS[1], '')

for _, job in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])) do
  local known = redis.call('HMGET', ns .. ':job:' .. job, 'at', 'entry')
  local is_there = known[1] and take(known[1], known[2])
  if is_there then
    redis.call('ZADD', KEYS[1], now + ARGV[5], job)
  else
    redis.call('ZREM', KEYS[1], job)
  end
  taken[1] = taken[1] + 1
  if num_bytes >= tonumber(ARGV[4]) then break end
end
return taken
