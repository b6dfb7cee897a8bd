-- Deletes streams that hold nothing, with their groups. Whoever adds to one makes it anew.
--
--   {stream}   XLEN, DEL
--
-- KEYS streams

for _, stream in ipairs(KEYS) do
  if redis.call('XLEN', stream) == 0 then redis.call('DEL', stream) end
end
return redis.status_reply('OK')
