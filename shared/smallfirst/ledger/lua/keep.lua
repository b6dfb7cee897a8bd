-- luacheck: read globals look_ahead pending_of claim_all
-- A worker renews the leases of entries that it has started. What a router took over meanwhile, or the
-- queue has, it takes back: until somebody starts it again, nobody else works on it. Comes after
-- pending.lua.
--
--   {backlog}   XPENDING, XCLAIM JUSTID   any holder -> this worker; the delivery count does not grow
--
-- KEYS[1] backlog stream
-- ARGV[1] group, [2] worker, then pairs: entry, which start of it is this worker's
-- Returns the entries that have not ended, those started again by another among them: whichever of the
-- two is done first, ends it (settle.lua).

local stream, group, worker, FIRST = KEYS[1], ARGV[1], ARGV[2], 3
local open, mine = {}, {}
look_ahead(stream, group, worker, '-', '+', #ARGV)
for i = FIRST, #ARGV, 2 do
  local entry = ARGV[i]
  local pending = pending_of(stream, group, entry)
  if pending then
    if pending[4] - 1 == tonumber(ARGV[i + 1]) then mine[#mine + 1] = entry end
    open[#open + 1] = entry
  end
end
claim_all(stream, group, worker, 0, mine)
return open
