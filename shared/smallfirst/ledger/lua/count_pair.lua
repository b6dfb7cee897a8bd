-- Counts a live job and its copy, once, whoever else saw that both have ended; the copy's result goes. What
-- the candidate said is kept where people may check the live answer.
--
--   {slice}:shadowing:{candidate}:{series}   ZREM          what is not counted yet
--   {slice}:shadow:{candidate}:{series}   HINCRBYFLOAT, EXPIRE
--   {slice}:result:@shadow:{copy}     DEL
--   {slice}:shadowed:{copy}           SET EX        what the candidate said
--
-- KEYS[1] shadowing, KEYS[2] shadow, KEYS[3] the copy's result, KEYS[4] shadowed
-- ARGV[1] the job, as it stands in the first, [2] seconds to keep what is counted, [3] what the candidate said,
-- or '', [4] seconds to keep it, then fields of the counts, each with what is added
-- Returns 1 where it was counted here, else 0.

if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[3])
if ARGV[3] ~= '' then redis.call('SET', KEYS[4], ARGV[3], 'EX', ARGV[4]) end
for i = 5, #ARGV, 2 do redis.call('HINCRBYFLOAT', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1
