-- Notes what two people answered of a job that ends by it: once, whoever ends it, and however often.
--
--   {slice}:earlier:{task}:{priority}:{entry}   EXISTS, HEXISTS, HSET   what the first decided
--   {slice}:pairs:{task}                        XADD MAXLEN, EXPIRE
--
-- KEYS[1] earlier, KEYS[2] pairs
-- ARGV[1] the pair's JSON, [2] the most pairs, [3] seconds that they are kept
-- Returns 1 where it was noted here, else 0.

if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], '@pair') == 1 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '=', ARGV[2], '*', 'pair', ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[1], '@pair', '1')
return 1
