-- A person takes a job that waits for one: the next by deadline, or a certain one. Free is what nobody
-- has read, what a person has held for longer than a lease in silence, and what is this person's
-- already. What was decided is nobody's any more.
--
--   {slice}:review:{task}             ZRANGE, ZSCORE, ZREM   the jobs, by when their wait ends
--   {slice}:skipped:{task}:{person}   SISMEMBER, DEL   what this person passed over
--   {slice}:answered:{task}:{person}  EXISTS, ZSCORE, ZMSCORE   what this person has answered, and another is asked
--   {backlog}                         XPENDING, XCLAIM FORCE JUSTID, XRANGE, XDEL, XACK
--   {slice}:result:{producer}:{id}    EXISTS   a job that has its result is dropped
--
-- KEYS[1] review, KEYS[2] skipped, KEYS[3] answered
-- ARGV[1] namespace, [2] what stands before a priority in a backlog's name, [3] group, [4] the person,
-- ARGV[5] lease in ms, [6] idle in ms to begin with, [7] the consumer of what was decided, [8] the wanted
-- job as `priority:entry`, or '' for the next, [9] the most jobs to look at, [10] '1' to be given only what
-- is this person's already
-- Returns {'leased', now in ms, due in ms, stream, entry, start, fields}; {'held'} where somebody else
-- has the wanted job, {'decided'} where its answer is given, {'given'} where this person gave one and another
-- is asked, {'free'} where it is not this person's; {'none'} where it is gone, or none is free.
-- The first start is 1, and each new holder's is one more: by it a late answer is known.

local ns, before, group, person = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease, idle, decided = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function has_result(fields)
  local about = {}
  for i = 1, #fields, 2 do about[fields[i]] = fields[i + 1] end
  if not about.producer or not about.id then return false end
  return redis.call('EXISTS', ns .. ':result:' .. about.producer .. ':' .. about.id) == 1
end

-- In whose hands an entry is.
local function state_of(pending)
  if not pending then return 'free' end
  local holder, silent = pending[2], pending[3] >= lease
  if holder == decided then return 'decided' end
  if holder == person and not silent then return 'own' end
  return silent and 'free' or 'held'
end

local function take(stream, entry, pending, fields)
  local deliveries = pending and pending[4] or 1
  if state_of(pending) ~= 'own' then deliveries = deliveries + 1 end
  redis.call('XCLAIM', stream, group, person, 0, entry, 'IDLE', idle, 'RETRYCOUNT', deliveries,
    'FORCE', 'JUSTID')
  return deliveries - 1, fields
end

-- Looks at one job. Gives its state, and what comes back where it was taken.
local function try(member, is_wanted)
  local priority, entry = string.match(member, '^([^:]+):([^:]+)$')
  if not priority then return 'none' end
  local stream = before .. priority
  if not string.match(entry, '^%d+%-%d+$') then return 'none' end
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  if not found or has_result(found[2]) then
    redis.call('ZREM', KEYS[1], member)
    redis.call('XDEL', stream, entry)
    redis.call('XACK', stream, group, entry)
    return 'none'
  end
  local pending = redis.call('XPENDING', stream, group, entry, entry, 1)[1]
  local state = state_of(pending)
  if state == 'held' or state == 'decided' then return state end
  if state == 'free' and ARGV[10] == '1' then return state end
  local due = tonumber(redis.call('ZSCORE', KEYS[1], member) or 0)
  -- What is due is a router's to end; who has it already may still answer.
  if state == 'free' and not is_wanted and due <= now then return 'due' end
  local start, fields = take(stream, entry, pending, found[2])
  return 'leased', { 'leased', now, due, stream, entry, start, fields }
end

local has_answered = redis.call('EXISTS', KEYS[3]) == 1

-- Goes through the jobs, the most urgent first.
local function next_one(leaves_skipped)
  local has_skipped, at, most = false, 0, tonumber(ARGV[9])
  while at < most do
    local members = redis.call('ZRANGE', KEYS[1], at, at + 99)
    if #members == 0 then break end
    local num_gone, answered = 0, has_answered and redis.call('ZMSCORE', KEYS[3], unpack(members)) or {}
    for i, member in ipairs(members) do
      if answered[i] then
        -- However many these are, they keep nobody from what is behind them.
        most = most + 1
      elseif leaves_skipped and redis.call('SISMEMBER', KEYS[2], member) == 1 then
        has_skipped = true
      else
        local state, leased = try(member, false)
        if leased then return leased end
        if state == 'none' then num_gone = num_gone + 1 end
      end
    end
    at = at + 100 - num_gone
  end
  return nil, has_skipped
end

if ARGV[8] ~= '' then
  if redis.call('ZSCORE', KEYS[3], ARGV[8]) then return { 'given' } end
  local state, leased = try(ARGV[8], true)
  return leased or { state }
end
local leased, has_skipped = next_one(true)
if not leased and has_skipped then
  -- All the others are done: what was passed over comes again.
  redis.call('DEL', KEYS[2])
  leased = next_one(false)
end
return leased or { 'none' }
