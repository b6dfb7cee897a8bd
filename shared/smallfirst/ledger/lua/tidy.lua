-- Forgets consumers that hold nothing and have not been heard of for long, so that their list does
-- not grow with every restart.
--
--   {stream}   XINFO CONSUMERS, XGROUP DELCONSUMER
--
-- KEYS[1] stream
-- ARGV[1] group, [2] idle in ms

for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local about = {}
  for i = 1, #consumer, 2 do about[consumer[i]] = consumer[i + 1] end
  if about.pending == 0 and about.idle > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], about.name)
  end
end
return redis.status_reply('OK')
