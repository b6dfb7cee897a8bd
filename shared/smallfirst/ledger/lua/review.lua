-- Tells what of a task waits for people: counts, ages, and the most urgent jobs without their texts. What the
-- person who asks has answered, where another is asked, is not there for that person.
--
--   {slice}:review:{task}              ZCARD, ZRANGE
--   {slice}:answered:{task}:{person}   EXISTS, ZCOUNT, ZSCORE
--   {backlogs}                         XPENDING, XRANGE
--
-- KEYS[1] review, KEYS[2] and KEYS[3] the backlogs (interactive, bulk), KEYS[4] answered
-- ARGV[1] group, [2] lease in ms, [3] the consumer of what was decided, [4] the most jobs to list, then the
-- priorities of the backlogs
-- Returns {now in ms, jobs, in hand, decided, when the first wait ends of what is free, in ms, or '', {entry
-- of the oldest of each backlog}, {{priority, entry, due, holder, idle in ms, fields but the job}, ...}}.
-- Who is in hand is counted among the first 1,000 that anybody ever took; the oldest is looked for among 1,000.

local lease, decided = tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local num_held, num_decided, oldest = 0, 0, {}
local streams = { [ARGV[5]] = KEYS[2], [ARGV[6]] = KEYS[3] }
local priorities = { [KEYS[2]] = ARGV[5], [KEYS[3]] = ARGV[6] }
local has_answered = redis.call('EXISTS', KEYS[4]) == 1

local function is_hidden(member) return has_answered and redis.call('ZSCORE', KEYS[4], member) end

local function count(stream)
  local rows = redis.pcall('XPENDING', stream, ARGV[1], '-', '+', 1000)
  if rows.err then return end
  for _, row in ipairs(rows) do
    local is_counted = not is_hidden(priorities[stream] .. ':' .. row[1])
    if is_counted and row[2] == decided then
      num_decided = num_decided + 1
    elseif is_counted and row[3] < lease then
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

-- The oldest entry of a stream that this person may see.
local function oldest_of(stream)
  local after = '-'
  for _ = 1, 1000 do
    local found = redis.call('XRANGE', stream, after, '+', 'COUNT', 1)[1]
    if not found then return nil end
    if not is_hidden(priorities[stream] .. ':' .. found[1]) then return found[1] end
    after = '(' .. found[1]
  end
end

for i = 2, 3 do
  count(KEYS[i])
  oldest[#oldest + 1] = oldest_of(KEYS[i])
end

-- When the first wait ends of the jobs that nobody has in hand; '' where none is among the first 100.
local function first_due()
  local members = redis.call('ZRANGE', KEYS[1], 0, 99, 'WITHSCORES')
  for i = 1, #members, 2 do
    local priority, entry = string.match(members[i], '^([^:]+):([^:]+)$')
    local stream = streams[priority]
    local rows = stream and redis.pcall('XPENDING', stream, ARGV[1], entry, entry, 1) or {}
    local pending = not rows.err and rows[1]
    local is_free = not pending or pending[2] ~= decided and pending[3] >= lease
    if is_free and not is_hidden(members[i]) then return members[i + 1] end
  end
  return ''
end

local listed, at = {}, 0
while #listed < tonumber(ARGV[4]) and at < 5000 do
  local members = redis.call('ZRANGE', KEYS[1], at, at + ARGV[4] - 1, 'WITHSCORES')
  if #members == 0 then break end
  for i = 1, #members, 2 do
    if #listed < tonumber(ARGV[4]) and not is_hidden(members[i]) then
      listed[#listed + 1] = row_of(members[i], members[i + 1])
    end
  end
  at = at + ARGV[4]
end
-- What is past the end of its wait, and still listed here, is counted as ended.
local num_hidden = has_answered and redis.call('ZCOUNT', KEYS[4], now, '+inf') or 0
local num_jobs = math.max(0, redis.call('ZCARD', KEYS[1]) - num_hidden)
return { now, num_jobs, num_held, num_decided, first_due(), oldest, listed }
