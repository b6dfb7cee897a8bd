-- Strikes workers off that were silent for too long.
--
--   {slice}:workers:{pool}   ZREMRANGEBYSCORE
--
-- KEYS[1] workers
-- ARGV[1] ms after which one is taken for dead
-- Returns how many have died

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. (now - ARGV[1]))
