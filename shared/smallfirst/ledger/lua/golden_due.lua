-- Tells how many checks were drawn since this was asked last, by any desk: so many may be joined by golden
-- rows.
--
--   {slice}:audit:{task}   HMGET, HSET   drawn, matched
--
-- KEYS[1] audit
-- Returns how many.

local found = redis.call('HMGET', KEYS[1], 'drawn', 'matched')
local drawn, matched = tonumber(found[1] or 0), tonumber(found[2] or 0)
if drawn > matched then redis.call('HSET', KEYS[1], 'matched', drawn) end
return math.max(0, drawn - matched)
