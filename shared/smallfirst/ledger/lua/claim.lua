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

local stream, group, worker, wanted, FIRST = KEYS[1], ARGV[1], ARGV[2], ARGV[3], 6
local time = redis.call('TIME')
local claimed = { time[1] * 1000 + math.floor(time[2] / 1000) }

local function has_result(fields)
  local about = {}
  for i = 1, #fields, 2 do about[fields[i]] = fields[i + 1] end
  if not about.producer or not about.id then return false end
  return redis.call('EXISTS', ARGV[4] .. ':result:' .. about.producer .. ':' .. about.id) == 1
end

local function is_meant(holder, deliveries)
  return holder == ARGV[5] and (wanted == '' or deliveries - 1 == tonumber(wanted))
end

-- The entries that are started now, and how often each was delivered before.
local meant, deliveries = {}, {}
for i = FIRST, #ARGV do
  local pending = redis.call('XPENDING', stream, group, ARGV[i], ARGV[i], 1)[1]
  if pending and is_meant(pending[2], pending[4]) and not deliveries[ARGV[i]] then
    meant[#meant + 1] = ARGV[i]
    deliveries[ARGV[i]] = pending[4]
  end
end
if #meant == 0 then return claimed end

-- What was deleted meanwhile is not among them; before Redis 7 it is, as nothing.
local fields_of = {}
for _, found in ipairs(redis.call('XCLAIM', stream, group, worker, 0, unpack(meant))) do
  if found and found[2] then fields_of[found[1]] = found[2] end
end

local function drop(entry)
  redis.call('XDEL', stream, entry)
  redis.call('XACK', stream, group, entry)
end

for _, entry in ipairs(meant) do
  local fields = fields_of[entry]
  if not fields or has_result(fields) then
    drop(entry)
  else
    claimed[#claimed + 1] = { entry, deliveries[entry], fields, worker }
  end
end
return claimed
