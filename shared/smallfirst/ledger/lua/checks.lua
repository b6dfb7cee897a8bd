-- luacheck: ignore count_accepted add_check end_check
-- luacheck: read globals forget_earlier
-- What scripts share that put blind checks before people, or end them; it is put before their own text. A
-- check stands on a backlog of its task's own, and in the list of what people take there, like a job. Comes after
-- earlier.lua.
--
--   {slice}:backlog:@people.@blind.{task}:bulk   XADD, XRANGE, XLEN, XACK, XDEL, XGROUP CREATE, PEXPIREAT
--                                      the checks: job, slip, check, chance
--   {slice}:review:@blind.{task}       ZADD, ZRANGEBYSCORE, ZREM, EXPIRE   by when each is dropped, in ms
--   {slice}:audit:{task}               HINCRBY, HGET, EXPIRE   bytes, drawn, dropped
--   {slice}:audit:{task}:{series}      HINCRBY, HINCRBYFLOAT, HSET, EXPIRE   accepted, recent, rates, each cell

local MAX_CHECKS, MAX_CHECK_BYTES = 5000, 64 * 1048576
local AUDIT_TTL = 35 * 86400
-- The mean rate is that of the last one to two thousand accepted answers.
local RECENT = 2000

local function places(ns, task)
  return ns .. ':backlog:@people.@blind.' .. task .. ':bulk', ns .. ':review:@blind.' .. task,
    ns .. ':audit:' .. task
end

-- Ends a check, whoever has it. Returns whether it was there.
local function end_check(ns, task, entry)
  local stream, review, counts = places(ns, task)
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  redis.call('ZREM', review, 'bulk:' .. entry)
  forget_earlier(ns, '@blind.' .. task, 'bulk', entry)
  if not found then return false end
  local size = 0
  for _, each in ipairs(found[2]) do size = size + #each end
  redis.call('HINCRBY', counts, 'bytes', -size)
  redis.call('XDEL', stream, entry)
  redis.pcall('XACK', stream, 'pool', entry)
  return true
end

-- Puts a check before people. Returns whether there was room; what there is none for is counted as dropped.
local function add_check(ns, task, chance, job, slip, check, until_ms)
  local stream, review, counts = places(ns, task)
  local size = #'job' + #'slip' + #'check' + #'chance' + #job + #slip + #check + #chance
  local bytes = tonumber(redis.call('HGET', counts, 'bytes') or 0)
  local num_checks = redis.call('XLEN', stream)
  if num_checks == 0 then
    -- However the sum came to differ, here it is right again.
    redis.call('HSET', counts, 'bytes', 0)
    bytes = 0
  end
  redis.call('EXPIRE', counts, AUDIT_TTL)
  if num_checks >= MAX_CHECKS or bytes + size > MAX_CHECK_BYTES then
    redis.call('HINCRBY', counts, 'dropped', 1)
    return false
  end
  local entry = redis.call('XADD', stream, '*', 'job', job, 'slip', slip, 'check', check, 'chance', chance)
  -- Where it was made before, Redis says so, and it is as it should be.
  if num_checks == 0 then redis.pcall('XGROUP', 'CREATE', stream, 'pool', '0') end
  redis.call('ZADD', review, until_ms, 'bulk:' .. entry)
  redis.call('HINCRBY', counts, 'bytes', size)
  -- A router drops what nobody answered; where none lives, Redis drops all of it after the last.
  redis.call('PEXPIREAT', stream, until_ms)
  redis.call('PEXPIREAT', review, until_ms)
  return true
end

-- Counts an accepted answer, and draws it by its chance. `counted` says: task, series, cell, rate, the highest
-- rate, share, the part drawn evenly, the draw, seconds to keep it, and where its check stands; 0 where it cannot
-- be drawn.
local function count_accepted(ns, counted, check_at)
  local task, series, cell, rate, highest_rate, share, even, draw, place =
    string.match(counted, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) %S+ (%S+)$')
  local key = ns .. ':audit:' .. task .. ':' .. series
  redis.call('HINCRBY', key, 'accepted', 1)
  redis.call('HINCRBY', key, cell, 1)
  local num_recent = redis.call('HINCRBY', key, 'recent', 1)
  local rates = tonumber(redis.call('HINCRBYFLOAT', key, 'rates', rate))
  if num_recent >= RECENT then
    -- What came long ago fades, so that the share holds though other texts come.
    redis.call('HSET', key, 'recent', math.floor(num_recent / 2))
    redis.call('HSET', key, 'rates', string.format('%.17g', rates / 2))
  end
  redis.call('EXPIRE', key, AUDIT_TTL)
  if place == '0' then return end
  local highest = highest_rate * num_recent / rates
  if share * (even + (1 - even) * highest) > 1 then
    -- No chance is above 1: more is drawn evenly, so that the mean of all chances stays the share.
    even = (highest - 1 / share) / (highest - 1)
  end
  local chance = math.min(1, share * (even + (1 - even) * rate * num_recent / rates))
  if tonumber(draw) >= chance then return end
  local job, slip, check, until_ms = check_at(tonumber(place))
  redis.call('HINCRBY', ns .. ':audit:' .. task, 'drawn', 1)
  add_check(ns, task, string.format('%.17g', chance), job, slip, check, until_ms)
end
