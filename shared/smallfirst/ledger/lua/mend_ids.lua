-- Tells how far the ids of a stream are ahead of the clock: whoever writes an entry may choose its id,
-- and all ids after it are greater. A stream that is at rest is made anew, and so counts from now on.
--
--   {stream}   XINFO STREAM, XPENDING, DEL, XGROUP CREATE
--
-- KEYS[1] stream
-- ARGV[1] group, [2] the most that its ids may be ahead, in ms
-- Returns {ms ahead (a string: they may be more than a number holds), 1 where it was made anew}

local about = redis.pcall('XINFO', 'STREAM', KEYS[1])
if about.err then return { '0', 0 } end
local facts = {}
for i = 1, #about, 2 do facts[about[i]] = about[i + 1] end
local time = redis.call('TIME')
local ahead = tonumber(string.match(facts['last-generated-id'], '^%d+')) - time[1] * 1000
if ahead <= tonumber(ARGV[2]) then return { '0', 0 } end
local shown = string.format('%.0f', ahead)
if facts.length > 0 or redis.call('XPENDING', KEYS[1], ARGV[1])[1] > 0 then return { shown, 0 } end
redis.call('DEL', KEYS[1])
redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
return { shown, 1 }
