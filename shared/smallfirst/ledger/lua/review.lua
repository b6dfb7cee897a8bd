-- Tells what of a task waits for people: counts, ages, and the most urgent jobs without their texts.
--
--   {slice}:review:{task}   ZCARD, ZRANGE
--   {backlogs}              XPENDING, XRANGE
--
-- KEYS[1] review, KEYS[2] and KEYS[3] the backlogs (interactive, bulk)
-- ARGV[1] group, [2] lease in ms, [3] the consumer of what was decided, [4] the most jobs to list, then the
-- priorities of the backlogs
-- Returns {now in ms, jobs, in hand, decided, when the first wait ends of what is free, in ms, or '', {entry
-- of the oldest of each backlog}, {{priority, entry, due, holder, idle in ms, fields but the job}, ...}}.
-- Who is in hand is counted among the first 1,000 that anybody ever took.

local lease, decided = tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local num_held, num_decided, oldest = 0, 0, {}
local streams = { [ARGV[5]] = KEYS[2], [ARGV[6]] = KEYS[3] }

local function count(stream)
  local rows = redis.pcall('XPENDING', stream, ARGV[1], '-', '+', 1000)
  if rows.err then return end
  for _, row in ipairs(rows) do
    if row[2] == decided then
      num_decided = num_decided + 1
    elseif row[3] < lease then
      num_held = num_held + 1
    end
  end
end

local function without_job(fields)
  local kept = {}
  for i = 1, #fields, 2 do
    if fields[i] ~= 'job' then
      kept[#kept + 1], kept[#kept + 2] = fields[i], fields[i + 1]
    end
  end
  return kept
end

local function row_of(member, due)
  local priority, entry = string.match(member, '^([^:]+):([^:]+)$')
  local stream = streams[priority]
  local found = stream and redis.call('XRANGE', stream, entry, entry)[1]
  if not found then return nil end
  local pending = redis.call('XPENDING', stream, ARGV[1], entry, entry, 1)[1] or { entry, '', 0 }
  return { priority, entry, due, pending[2], pending[3], without_job(found[2]) }
end

for i = 2, 3 do
  count(KEYS[i])
  local first = redis.call('XRANGE', KEYS[i], '-', '+', 'COUNT', 1)[1]
  if first then oldest[#oldest + 1] = first[1] end
end

-- When the first wait ends of the jobs that nobody has in hand; '' where none is among the first 100.
local function first_due()
  local members = redis.call('ZRANGE', KEYS[1], 0, 99, 'WITHSCORES')
  for i = 1, #members, 2 do
    local priority, entry = string.match(members[i], '^([^:]+):([^:]+)$')
    local stream = streams[priority]
    local rows = stream and redis.pcall('XPENDING', stream, ARGV[1], entry, entry, 1) or {}
    local pending = not rows.err and rows[1]
    if not pending or pending[2] ~= decided and pending[3] >= lease then return members[i + 1] end
  end
  return ''
end

local listed = {}
if tonumber(ARGV[4]) > 0 then
  local members = redis.call('ZRANGE', KEYS[1], 0, ARGV[4] - 1, 'WITHSCORES')
  for i = 1, #members, 2 do listed[#listed + 1] = row_of(members[i], members[i + 1]) end
end
return { now, redis.call('ZCARD', KEYS[1]), num_held, num_decided, first_due(), oldest, listed }
