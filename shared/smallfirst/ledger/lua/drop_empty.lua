-- Deletes the backlogs of a pool that hold nothing, with their groups; where none is left, the pool has
-- none. Whoever adds to one makes it anew.
--
--   {backlog}       XLEN, DEL
--   {slice}:pools   SREM
--
-- KEYS[1] the pools that have backlogs, then the backlogs
-- ARGV[1] the pool

local num_left = 0
for i = 2, #KEYS do
  if redis.call('XLEN', KEYS[i]) == 0 then redis.call('DEL', KEYS[i]) else num_left = num_left + 1 end
end
if num_left == 0 then redis.call('SREM', KEYS[1], ARGV[1]) end
return redis.status_reply('OK')
