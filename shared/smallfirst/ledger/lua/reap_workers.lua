-- Strikes workers off that were silent for too long, and forgets which messages their pool holds
-- unstarted: nothing says which of them the dead had. A message that a living worker holds stays
-- with it; its entry here only counted it.
--
--   {ns}:workers:{pool}                        ZCOUNT, ZREMRANGEBYSCORE
--   {ns}:celery:unacked:{pool}, unacked_index   DEL, when somebody has died
--
-- KEYS[1] workers, KEYS[2] unacked, KEYS[3] its index
-- ARGV[1] ms after which one is taken for dead
-- Returns how many have died

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = '(' .. (now - ARGV[1])
local died = redis.call('ZCOUNT', KEYS[1], '-inf', last)
if died > 0 then
  -- Last who has died: by that the rest is known to be done.
  redis.call('DEL', KEYS[2], KEYS[3])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', last)
end
return died
