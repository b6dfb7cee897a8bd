-- Copies live jobs into the shadow of their task, as far as the bounds allow: each once, however often it
-- is asked. A copy joins what routers take up from workers, and is in flight like any job from then on.
--
--   {slice}:shadowing:{candidate}:{series}   ZRANGE, ZADD, EXPIRE   what is not counted yet
--   {slice}:shadow:{candidate}:{series}   HINCRBY, EXPIRE   copied, left_out
--   {slice}:job:@shadow:{copy}        EXISTS
--   {slice}:escalations               XADD
--
-- KEYS[1] shadowing, KEYS[2] shadow, KEYS[3] escalations
-- ARGV[1] namespace, [2] the producer of copies, [3] the most copies, [4] the most bytes of them, [5] seconds
-- to keep what is counted, [6] seconds to keep what is not counted yet, [7] how many jobs were left out
-- before, then of each job: its copy's id, producer and id, when it was submitted and when it is copied in ms,
-- the hash of its text, the copy, its slip
-- Returns how many were copied.

local ns, shadow, max_copies, max_bytes = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local num_bytes, num_copied, num_left_out = 0, 0, tonumber(ARGV[7])
-- The jobs that have a copy: an id that comes again, with another text, say, gets no second one.
local num_open, open = 0, {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local bytes, job = string.match(member, '^(%d+):%d+:%x*:(.*)$')
  num_open, num_bytes, open[job] = num_open + 1, num_bytes + tonumber(bytes), true
end

for i = 8, #ARGV, 7 do
  local copy, job, submitted_ms, copied_ms, text, raw, slip = unpack(ARGV, i, i + 6)
  local is_known = open[job] or redis.call('EXISTS', ns .. ':job:' .. shadow .. ':' .. copy) == 1
  if not is_known then
    if num_open < max_copies and num_bytes + #raw <= max_bytes then
      redis.call('ZADD', KEYS[1], copied_ms, table.concat({ #raw, submitted_ms, text, job }, ':'))
      redis.call('XADD', KEYS[3], '*', 'producer', shadow, 'id', copy, 'job', raw, 'slip', slip)
      open[job] = true
      num_open, num_bytes, num_copied = num_open + 1, num_bytes + #raw, num_copied + 1
    else
      num_left_out = num_left_out + 1
    end
  end
end
if num_copied > 0 then
  redis.call('EXPIRE', KEYS[1], ARGV[6])
  redis.call('HINCRBY', KEYS[2], 'copied', num_copied)
end
if num_left_out > 0 then redis.call('HINCRBY', KEYS[2], 'left_out', num_left_out) end
redis.call('EXPIRE', KEYS[2], ARGV[5])
return num_copied
