-- Ends entries of one stream: each job gets its result, or moves on to another stream. Atomic, and
-- fenced twice: an entry that is settled already, or that another holds by now, is left alone
-- (XPENDING says so), and a result that stands is never replaced (SET NX).
--
--   {source}                   XPENDING, XACK, XDEL   the entry that ends here
--   {ns}:job:{id}              hash          origin, fingerprint, reply, at, entry
--   {ns}:result:{id}           string, TTL   the result, written once
--   {ns}:results:{reply_to}    stream        the ids that a producer waits for
--   {ns}:dead, {ns}:dead:{e}   stream, TTL   the reason; the raw submission
--   {ns}:booked:{date}         hash, TTL     what was spent
--
-- KEYS[1] source stream, KEYS[2] booked hash
-- ARGV[1] group, [2] who settles, then the namespace and the bounds, then rows of 11 columns ('' where absent):
--   verb         result | move | refuse | cancel
--   entry        the entry in the source stream
--   id           the job's id ('' where the submission is too broken to have one)
--   fingerprint  on a first submission: check for duplicates, and register
--   reply_to     whom to notify
--   body         the result's JSON   move: the job's JSON
--   slip          the dead letter's   move: its JSON
--   to           move: the stream it goes to
--   raw          the dead letter's raw submission
--   task         task:step:outcome, to book under
--   spent        seconds,cost
-- Returns {results, moves, joined, fenced}: how many rows ended each way.

local COLUMNS = 11
local source, booked = KEYS[1], KEYS[2]
local group, holder, ns = ARGV[1], ARGV[2], ARGV[3]
local result_ttl, job_ttl, dead_ttl = ARGV[4], ARGV[5], ARGV[6]
local max_dead, max_replies = ARGV[7], ARGV[8]
local REPLY_TTL, BOOKED_TTL = 86400, 35 * 86400
local counts = { results = 0, moves = 0, joined = 0, fenced = 0 }

local function notify(reply_to, id)
  if reply_to == '' then return end
  local stream = ns .. ':results:' .. reply_to
  redis.call('XADD', stream, 'MAXLEN', '~', max_replies, '*', 'id', id)
  redis.call('EXPIRE', stream, REPLY_TTL)
end

local function write_dead_letter(letter, raw)
  local entry = redis.call('XADD', ns .. ':dead', 'MAXLEN', '~', max_dead, '*', 'letter', letter)
  if raw ~= '' then redis.call('SET', ns .. ':dead:' .. entry, raw, 'EX', dead_ttl) end
end

local function book(task, spent)
  if task == '' then return end
  local seconds, cost = string.match(spent, '^([^,]*),([^,]*)$')
  redis.call('HINCRBY', booked, task .. ':jobs', 1)
  redis.call('HINCRBYFLOAT', booked, task .. ':seconds', seconds)
  redis.call('HINCRBYFLOAT', booked, task .. ':cost', cost)
  redis.call('EXPIRE', booked, BOOKED_TTL)
end

local function is_refusal(result)
  return string.find(result, '"status":"refused"', 1, true) ~= nil
end

local function conflict(id, raw)
  write_dead_letter(cjson.encode({ id = id, reason = 'id_conflict', size = #raw, digest = 'sha1:' .. redis.sha1hex(raw),
    detail = 'this id was submitted before with another text, task or options; the first one stands' }), raw)
end

-- Whether the id is taken by an earlier submission; if so its result answers this one too.
-- A refusal takes no id: a corrected job may be submitted under it again.
local function is_duplicate(id, entry, fingerprint, reply_to, raw)
  local done = redis.call('GET', ns .. ':result:' .. id)
  if done then
    if is_refusal(done) then
      redis.call('DEL', ns .. ':result:' .. id)
      return false
    end
    if not string.find(done, '"fingerprint":"' .. fingerprint .. '"', 1, true) then conflict(id, raw) end
    notify(reply_to, id)
    return true
  end
  local key = ns .. ':job:' .. id
  local known = redis.call('HMGET', key, 'origin', 'fingerprint', 'reply')
  if known[1] and known[1] ~= entry then
    if known[2] ~= fingerprint then conflict(id, raw) end
    local waiting = '\n' .. (known[3] or '') .. '\n'
    if reply_to ~= '' and not string.find(waiting, '\n' .. reply_to .. '\n', 1, true) then
      redis.call('HSET', key, 'reply', known[3] == '' and reply_to or (known[3] .. '\n' .. reply_to))
    end
    return true
  end
  redis.call('HSET', key, 'origin', entry, 'fingerprint', fingerprint, 'reply', reply_to)
  redis.call('EXPIRE', key, job_ttl)
  return false
end

local function finish(id, body, reply_to)
  local key = ns .. ':job:' .. id
  local reply = redis.call('HGET', key, 'reply') or reply_to
  if not redis.call('SET', ns .. ':result:' .. id, body, 'NX', 'EX', result_ttl) then
    notify(reply_to, id)
    return false
  end
  for name in string.gmatch(reply, '[^\n]+') do notify(name, id) end
  redis.call('DEL', key)
  return true
end

-- Answers a submission that is no job. It ends no job of that id, in flight or done: who sent the
-- refused one is told what stands, or what will.
local function refuse(id, body, reply_to)
  if id == '' then return 'results' end
  if redis.call('EXISTS', ns .. ':job:' .. id) == 1 then return 'joined' end
  local key = ns .. ':result:' .. id
  local done = redis.call('GET', key)
  local is_new = not done or is_refusal(done)
  if is_new then redis.call('SET', key, body, 'EX', result_ttl) end
  notify(reply_to, id)
  return is_new and 'results' or 'joined'
end

local function move(id, body, slip, to)
  if redis.call('EXISTS', ns .. ':result:' .. id) == 1 then return false end
  local entry = redis.call('XADD', to, '*', 'id', id, 'job', body, 'slip', slip)
  local key = ns .. ':job:' .. id
  redis.call('HSET', key, 'at', to, 'entry', entry)
  redis.call('EXPIRE', key, job_ttl)
  return true
end

local function settle(verb, entry, id, fingerprint, reply_to, body, slip, to, raw, task, spent)
  local pending = redis.call('XPENDING', source, group, entry, entry, 1)[1]
  if not pending or pending[2] ~= holder then return 'fenced' end
  redis.call('XACK', source, group, entry)
  redis.call('XDEL', source, entry)
  if verb == 'cancel' then
    if redis.call('EXISTS', ns .. ':job:' .. id) == 0 then return 'joined' end
    return finish(id, body, reply_to) and 'results' or 'fenced'
  end
  if verb == 'refuse' then
    write_dead_letter(slip, raw)
    return refuse(id, body, reply_to)
  end
  if fingerprint ~= '' and is_duplicate(id, entry, fingerprint, reply_to, raw ~= '' and raw or body) then
    return 'joined'
  end
  if verb == 'move' then
    if not move(id, body, slip, to) then return 'fenced' end
    book(task, spent)
    return 'moves'
  end
  if slip ~= '' then write_dead_letter(slip, raw) end
  if not finish(id, body, reply_to) then return 'fenced' end
  book(task, spent)
  return 'results'
end

for i = 9, #ARGV, COLUMNS do
  local ended = settle(unpack(ARGV, i, i + COLUMNS - 1))
  counts[ended] = counts[ended] + 1
end
return { counts.results, counts.moves, counts.joined, counts.fenced }
