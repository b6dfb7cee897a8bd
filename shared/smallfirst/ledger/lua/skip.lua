-- A person passes a job over: it is free at once, and is not offered to the same person again for a
-- while. Left alone is what another has started since, or what was decided.
--
--   {backlog}                         XPENDING, XCLAIM JUSTID   as if this person had been silent
--   {slice}:skipped:{task}:{person}   SADD, EXPIRE
--
-- KEYS[1] backlog stream, KEYS[2] skipped
-- ARGV[1] group, [2] the person, [3] entry, [4] which start of it is this page's, [5] lease in ms,
-- ARGV[6] the member of review ('' only to let go of it), [7] seconds that it is remembered
-- Returns 1 where it was this person's to pass over, else 0.

if ARGV[6] ~= '' then
  redis.call('SADD', KEYS[2], ARGV[6])
  redis.call('EXPIRE', KEYS[2], ARGV[7])
end
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if not pending or pending[2] ~= ARGV[2] or pending[4] - 1 ~= tonumber(ARGV[4]) then return 0 end
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'IDLE', ARGV[5], 'JUSTID')
return 1
