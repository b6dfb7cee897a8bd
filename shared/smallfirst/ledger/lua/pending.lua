-- luacheck: ignore look_ahead pending_of forget_pending claim_all
-- What scripts share that look many entries of one stream up; it is put before their own text. To ask for
-- each by itself costs more than all the rest that is done with it, so what one holder has is asked for
-- at once: of those named, most are its own. Others are looked up one by one.

-- Lua passes no more than some thousand arguments at once.
local MOST_CLAIMED = 1000

-- Of each stream that was asked for: the entries of one holder, by entry.
local known = {}

-- Looks up what a holder has between two entries, so many at most.
local function look_ahead(stream, group, holder, first, last, most)
  local found = {}
  for _, pending in ipairs(redis.call('XPENDING', stream, group, first, last, most, holder)) do
    found[pending[1]] = pending
  end
  known[stream] = found
end

-- {entry, holder, idle in ms, deliveries}; nil where nobody has it in hand.
local function pending_of(stream, group, entry)
  local found = known[stream] and known[stream][entry]
  return found or redis.call('XPENDING', stream, group, entry, entry, 1)[1]
end

-- To be called when an entry is another's since it was looked up, or nobody's.
local function forget_pending(stream, entry)
  if known[stream] then known[stream][entry] = nil end
end

-- Puts entries into a holder's hands; the delivery count does not grow.
local function claim_all(stream, group, to, idle, entries)
  for i = 1, #entries, MOST_CLAIMED do
    local words = { unpack(entries, i, math.min(i + MOST_CLAIMED - 1, #entries)) }
    for _, word in ipairs({ 'IDLE', idle, 'JUSTID' }) do words[#words + 1] = word end
    redis.call('XCLAIM', stream, group, to, 0, unpack(words))
  end
end
