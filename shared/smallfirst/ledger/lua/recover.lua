-- A router takes over entries whose holder is gone: its lease ran out, or the message that should
-- have brought them to a worker was lost. Those that wait for a pool to have room have no such holder.
--
--   {stream}   XPENDING, XCLAIM JUSTID, XRANGE   any holder -> this router
--
-- KEYS[1] stream
-- ARGV[1] group, [2] router, [3] lease in ms, [4] patience in ms with the queue's consumer,
-- ARGV[5] the queue's consumer, [6] the most entries to take
-- Returns {{entry, starts, fields, holder}, ...}: the first delivery was a router's read, the others were starts

local taken, num_left = {}, tonumber(ARGV[6])

local function take(holder, idle)
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', idle, '-', '+', num_left, holder)
  num_left = num_left - #pending
  for _, each in ipairs(pending) do
    local entry = each[1]
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, entry, 'JUSTID')
    local found = redis.call('XRANGE', KEYS[1], entry, entry)[1]
    if found then
      taken[#taken + 1] = { entry, each[4] - 1, found[2], holder }
    else
      redis.call('XACK', KEYS[1], ARGV[1], entry)
    end
  end
end

for _, consumer in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1])[4] or {}) do
  local holder = consumer[1]
  local is_waiting = string.sub(holder, 1, #'waiting:') == 'waiting:'
  if num_left > 0 and not is_waiting then take(holder, holder == ARGV[5] and ARGV[4] or ARGV[3]) end
end
return taken
