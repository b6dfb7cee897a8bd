-- A person's page is still open: the lease of its job begins afresh. Left alone is what another has
-- started since, or what was decided; and what is due, which ends when its lease does.
--
--   {backlog}               XPENDING, XCLAIM JUSTID   this person, or a router -> this person
--   {slice}:review:{task}   ZSCORE
--
-- KEYS[1] backlog stream, KEYS[2] review
-- ARGV[1] group, [2] the person, [3] entry, [4] which start of it is this page's, [5] idle in ms to begin
-- with, [6] the member of review
-- Returns 'kept'; 'due'; 'lost' where somebody else started it or it was decided; 'ended'.

local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if not pending then return 'ended' end
if pending[4] - 1 ~= tonumber(ARGV[4]) then return 'lost' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZSCORE', KEYS[2], ARGV[6])
if due and tonumber(due) <= now then return 'due' end
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'IDLE', ARGV[5], 'JUSTID')
return 'kept'
