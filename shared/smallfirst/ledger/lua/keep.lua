-- A worker renews the leases of entries that it has started. What a router took over meanwhile, or the
-- queue has, it takes back: until somebody starts it again, nobody else works on it.
--
--   {backlog}   XPENDING, XCLAIM JUSTID   any holder -> this worker; the delivery count does not grow
--
-- KEYS[1] backlog stream
-- ARGV[1] group, [2] worker, then pairs: entry, which start of it is this worker's
-- Returns the entries that have not ended, those started again by another among them: whichever of the
-- two is done first, ends it (settle.lua).

local open = {}
for i = 3, #ARGV, 2 do
  local entry = ARGV[i]
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], entry, entry, 1)[1]
  if pending then
    if pending[4] - 1 == tonumber(ARGV[i + 1]) then
      redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, entry, 'JUSTID')
    end
    open[#open + 1] = entry
  end
end
return open
