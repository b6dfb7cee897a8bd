-- Says that a worker lives, by Redis's own clock, and counts those that do.
--
--   {slice}:workers:{pool}   zset, TTL   worker -> last heartbeat in ms
--
-- KEYS[1] workers
-- ARGV[1] worker ('' only to count), [2] ms after which one is taken for dead, [3] '1' to sign off

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[3] == '1' then
  redis.call('ZREM', KEYS[1], ARGV[1])
elseif ARGV[1] ~= '' then
  -- First what frees memory: a script that has written is let go on where memory is full.
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. (now - ARGV[2] * 10))
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2] * 10)
end
return redis.call('ZCOUNT', KEYS[1], now - ARGV[2], '+inf')
