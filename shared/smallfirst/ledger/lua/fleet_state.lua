-- Tells a router, at once, all that it asks in each round: what waits where, and who lives.
--
--   {stream}                        XLEN, XPENDING
--   {slice}:workers:{pool}             ZCOUNT
--
-- KEYS[1] escalations, then the producers' submissions, then of each pool its backlogs (interactive, bulk)
-- and its workers
-- ARGV[1] the routers' group, [2] the pools' group, [3] ms after which a worker is taken for dead, [4] how
-- many streams of submissions there are
-- Returns {escalations, then the submissions, then of each pool {backlogs, workers that live, that
-- died}}; each stream as {entries, pending}, pending being -1 where the stream or its group is not there;
-- of submissions also {consumer in whose name jobs wait for a backlog to have room, how many, ...}.

local time = redis.call('TIME')
local alive_since = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[3]

local function stream(key, group)
  local pending = redis.pcall('XPENDING', key, group)
  if not pending.err then return { redis.call('XLEN', key), pending[1] } end
  if not string.find(pending.err, 'NOGROUP', 1, true) then error(pending.err) end
  return { redis.call('XLEN', key), -1 }
end

local function waiting(key)
  local counts, prefix = {}, 'waiting:'
  local pending = redis.pcall('XPENDING', key, ARGV[1])
  for _, consumer in ipairs(pending[4] or {}) do
    local name, count = consumer[1], consumer[2]
    if string.sub(name, 1, #prefix) == prefix then
      counts[#counts + 1], counts[#counts + 2] = name, count
    end
  end
  return counts
end

local last_submissions = 1 + ARGV[4]
local told = { stream(KEYS[1], ARGV[1]) }
for i = 2, last_submissions do
  local about = stream(KEYS[i], ARGV[1])
  about[3] = about[2] > 0 and waiting(KEYS[i]) or {}
  told[#told + 1] = about
end
for i = last_submissions + 1, #KEYS, 3 do
  local interactive, bulk, workers = unpack(KEYS, i, i + 2)
  told[#told + 1] = {
    stream(interactive, ARGV[2]), stream(bulk, ARGV[2]),
    redis.call('ZCOUNT', workers, alive_since, '+inf'),
    redis.call('ZCOUNT', workers, '-inf', '(' .. alive_since),
  }
end
return told
