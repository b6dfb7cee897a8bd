-- Forgets consumers that hold nothing and have not been heard of for long, so that their list does
-- not grow with every restart.
--
--   {stream}   XINFO CONSUMERS, XGROUP DELCONSUMER
--
-- KEYS streams
-- ARGV[1] group, [2] idle in ms

local function tidy(stream)
  for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, ARGV[1])) do
    local about = {}
    for i = 1, #consumer, 2 do about[consumer[i]] = consumer[i + 1] end
    if about.pending == 0 and about.idle > tonumber(ARGV[2]) then
      redis.call('XGROUP', 'DELCONSUMER', stream, ARGV[1], about.name)
    end
  end
end

for _, stream in ipairs(KEYS) do tidy(stream) end
return redis.status_reply('OK')
