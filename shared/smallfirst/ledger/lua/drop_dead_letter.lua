-- Forgets a dead letter, and the raw submission behind it where one is kept still.
--
--   {slice}:dead             XDEL           the letter
--   {slice}:dead:{entry}     DEL            the raw submission
--   {slice}:dead:kept        XRANGE, XDEL   its bytes
--   {slice}:dead:bytes       DECRBY         less by these
--
-- KEYS[1] dead letters, KEYS[2] the raw submission, KEYS[3] what is kept, KEYS[4] the bytes of all
-- ARGV[1] the letter's entry
-- Returns 1 where there was a letter, else 0.

local entry = ARGV[1]
local kept = redis.call('XRANGE', KEYS[3], entry, entry)[1]
if kept then
  redis.call('XDEL', KEYS[3], entry)
  redis.call('DECRBY', KEYS[4], kept[2][2])
end
redis.call('DEL', KEYS[2])
return redis.call('XDEL', KEYS[1], entry)
