-- Counts submissions that nobody settled and that are gone: somebody trimmed the stream, or deleted them.
-- What was ever added is there, or was taken out by settle.lua, or was destroyed. Where the sum has
-- become smaller, the stream is another one, and is counted afresh.
--
--   {slice}:jobs:{producer}   XINFO STREAM       entries ever added; those that are there
--   {slice}:submissions:{producer}   HMGET, HSET   `settled`, by settle.lua; `gone`, of which it knows nothing;
--                                         `destroyed` since the fleet began, and when the last was missed
--
-- KEYS[1] a producer's stream, KEYS[2] the counts of its submissions
-- Returns how many are newly missed. Redis before 7 does not tell what was ever added: 0.

local about, told = redis.pcall('XINFO', 'STREAM', KEYS[1]), {}
for i = 1, #about, 2 do told[about[i]] = about[i + 1] end
if not told['entries-added'] then return 0 end

local known = redis.call('HMGET', KEYS[2], 'settled', 'gone', 'destroyed')
local gone = told['entries-added'] - told['length'] - (known[1] or 0)
if gone == tonumber(known[2]) then return 0 end
redis.call('HSET', KEYS[2], 'gone', gone)
local missed = known[2] and gone - known[2] or 0
if missed <= 0 then return 0 end
local now = redis.call('TIME')[1]
redis.call('HSET', KEYS[2], 'destroyed', (known[3] or 0) + missed, 'destroyed_at', now)
return missed
