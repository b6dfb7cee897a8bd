-- Tells the id of a stream's first entry. The entry itself, with its job's text, stays in Redis.
--
--   {stream}   XRANGE
--
-- KEYS[1] stream
-- Returns the id, or nil where the stream is empty

local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
return first and first[1]
