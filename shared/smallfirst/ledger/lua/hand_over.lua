-- luacheck: read globals look_ahead pending_of claim_all
-- Passes entries from a router to another holder, or to itself (which renews the lease). Entries that
-- somebody else holds by now are left alone, and are missing from what is returned. Comes after
-- pending.lua.
--
--   {stream}   XPENDING, XCLAIM JUSTID   from -> to; the delivery count does not grow
--
-- KEYS[1] stream
-- ARGV[1] group, [2] from, [3] to, [4] idle in ms to start with, then entries

local stream, group, from, to, idle, FIRST = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], 5
local passed = {}
-- What is renewed is most of what a router has, and comes in order; a batch is here and there.
if from == to then look_ahead(stream, group, from, ARGV[FIRST], ARGV[#ARGV], #ARGV) end
for i = FIRST, #ARGV do
  local pending = pending_of(stream, group, ARGV[i])
  if pending and pending[2] == from then passed[#passed + 1] = ARGV[i] end
end
claim_all(stream, group, to, idle, passed)
return passed
