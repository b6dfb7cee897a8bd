-- A worker takes queued entries of a backlog into its hands. Left alone are entries that are settled,
-- that anybody but the queue holds, for however long, and whose starts are not those that the message
-- tells: so a doubled or late message does no harm. What comes back is a router's to take over, and is
-- queued again in smaller batches; an old message would bring it together with all its first mates.
--
--   {backlog}          XPENDING, XCLAIM   consumer `queue` -> this worker; counts the start
--   {slice}:result:{producer}:{id}   EXISTS   a job that has its result (cancelled, say) is dropped
--
-- KEYS[1] backlog stream
-- ARGV[1] group, [2] worker, [3] how often each was started before ('' where the message does not say),
-- ARGV[4] namespace, [5] the queue's consumer, then entries
-- Returns {now in ms, {entry, starts, fields, worker}, ...}. The delivery count is 1 from the router's
-- read and grows by 1 with each start, because every other hand-over claims with JUSTID.

local time = redis.call('TIME')
local claimed = { time[1] * 1000 + math.floor(time[2] / 1000) }

local function has_result(fields)
  local about = {}
  for i = 1, #fields, 2 do about[fields[i]] = fields[i + 1] end
  if not about.producer or not about.id then return false end
  return redis.call('EXISTS', ARGV[4] .. ':result:' .. about.producer .. ':' .. about.id) == 1
end

local function is_meant(holder, deliveries)
  return holder == ARGV[5] and (ARGV[3] == '' or deliveries - 1 == tonumber(ARGV[3]))
end

local function take(entry)
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], entry, entry, 1)[1]
  if not pending then return end
  local holder, deliveries = pending[2], pending[4]
  if not is_meant(holder, deliveries) then return end
  local found = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, entry)[1]
  if not found or not found[2] then
    redis.call('XACK', KEYS[1], ARGV[1], entry)
    return
  end
  local fields = found[2]
  if has_result(fields) then
    redis.call('XDEL', KEYS[1], entry)
    redis.call('XACK', KEYS[1], ARGV[1], entry)
    return
  end
  claimed[#claimed + 1] = { entry, deliveries, fields, ARGV[2] }
end

for i = 6, #ARGV do take(ARGV[i]) end
return claimed
