-- Tells what of a task waits for people: counts, ages, and the most urgent jobs without their texts. What the
-- person who asks has answered, where another is asked, is not there for that person.
--
--   {slice}:review:{task}              ZCARD, ZRANGE
--   {slice}:answered:{task}:{person}   EXISTS, ZCOUNT, ZMSCORE
--   {backlogs}                         XPENDING, XRANGE
--
-- KEYS[1] review, KEYS[2] and KEYS[3] the backlogs (interactive, bulk), KEYS[4] answered
-- ARGV[1] group, [2] lease in ms, [3] the consumer of what was decided, [4] the most jobs to list, then the
-- priorities of the backlogs
-- Returns {now in ms, jobs, in hand, decided, when the first wait ends of what is free, in ms, or '', {entry
-- of the oldest of each backlog}, {{priority, entry, due, holder, idle in ms, fields but the job}, ...}}.
-- Who is in hand is counted among the first 1,000 that anybody ever took; to who has answered some, the
-- oldest is that of the 1,000 whose waits end first.

local lease, decided = tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local num_held, num_decided, oldest = 0, 0, {}
local streams = { [ARGV[5]] = KEYS[2], [ARGV[6]] = KEYS[3] }
local priorities = { [KEYS[2]] = ARGV[5], [KEYS[3]] = ARGV[6] }
local has_answered = redis.call('EXISTS', KEYS[4]) == 1

-- By place, what of these members the person who asks has answered; not more than a thousand of them.
local function hidden_of(members)
  if not has_answered or #members == 0 then return {} end
  return redis.call('ZMSCORE', KEYS[4], unpack(members))
end

-- The most urgent jobs that the person may see: {member, due}, of the first 20,000.
local function visible(most)
  local found, at = {}, 0
  while #found < most and at < 20000 do
    local page, members = redis.call('ZRANGE', KEYS[1], at, at + 499, 'WITHSCORES'), {}
    if #page == 0 then break end
    for i = 1, #page, 2 do members[#members + 1] = page[i] end
    local hidden = hidden_of(members)
    for i = 1, #members do
      if not hidden[i] and #found < most then found[#found + 1] = { members[i], page[2 * i] } end
    end
    at = at + 500
  end
  return found
end

local function count(stream)
  local rows, members = redis.pcall('XPENDING', stream, ARGV[1], '-', '+', 1000), {}
  if rows.err then return end
  for i, row in ipairs(rows) do members[i] = priorities[stream] .. ':' .. row[1] end
  local hidden = hidden_of(members)
  for i, row in ipairs(rows) do
    if not hidden[i] and row[2] == decided then
      num_decided = num_decided + 1
    elseif not hidden[i] and row[3] < lease then
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
  local priority, entry = string.match(member, '^([^:]+):(%d+%-%d+)$')
  local stream = streams[priority]
  local found = stream and redis.call('XRANGE', stream, entry, entry)[1]
  if not found then return nil end
  local pending = redis.call('XPENDING', stream, ARGV[1], entry, entry, 1)[1] or { entry, '', 0 }
  return { priority, entry, due, pending[2], pending[3], without_job(found[2]) }
end

local listed, most = {}, tonumber(ARGV[4])
local urgent = visible(math.max(most, has_answered and 1000 or 100))

-- When the first wait ends of the jobs that nobody has in hand; '' where none is among the first 100.
local function first_due()
  for i = 1, math.min(100, #urgent) do
    local priority, entry = string.match(urgent[i][1], '^([^:]+):(%d+%-%d+)$')
    local stream = streams[priority]
    local rows = stream and redis.pcall('XPENDING', stream, ARGV[1], entry, entry, 1) or {}
    local pending = not rows.err and rows[1]
    if not pending or pending[2] ~= decided and pending[3] >= lease then return urgent[i][2] end
  end
  return ''
end

local function milliseconds(entry) return tonumber(string.match(entry, '^%d+')) end

for i = 2, 3 do
  count(KEYS[i])
  local first = not has_answered and redis.call('XRANGE', KEYS[i], '-', '+', 'COUNT', 1)[1]
  if first then oldest[#oldest + 1] = first[1] end
end
-- To look through the streams would be to look through texts.
for i = 1, has_answered and #urgent or 0 do
  local entry = string.match(urgent[i][1], ':(%d+%-%d+)$')
  local is_older = entry and (not oldest[1] or milliseconds(entry) < milliseconds(oldest[1]))
  if is_older then oldest[1] = entry end
end

for i = 1, math.min(most, #urgent) do listed[#listed + 1] = row_of(urgent[i][1], urgent[i][2]) end
-- What is past the end of its wait, and still listed here, is counted as ended.
local num_hidden = has_answered and redis.call('ZCOUNT', KEYS[4], now, '+inf') or 0
local num_jobs = math.max(0, redis.call('ZCARD', KEYS[1]) - num_hidden)
return { now, num_jobs, num_held, num_decided, first_due(), oldest, listed }
