-- luacheck: read globals is_router is_worker producer_of group_of people_of count_accepted
-- luacheck: read globals forget_earlier look_ahead pending_of forget_pending
-- luacheck: read globals is_logged log_record void_record
-- Ends entries of one stream: each job gets its result, moves on to another stream, or stays and waits
-- for a pool to have room. Atomic, and fenced twice: an entry that has ended already is left alone
-- (XPENDING says so), and a result that stands is never replaced (SET NX). Who ends an entry first, wins,
-- whoever holds it by then: what comes of the work of a holder that was too slow is as good as what comes
-- of the next one's, and so no two can undo each other for ever. Only who ends it without having worked
-- on it must hold it; or nobody has read it, where it is a router: a job's deadline may pass while its
-- pool rests. An entry is acknowledged last, when all that comes of it is written: of a script that an
-- error ends Redis undoes nothing, so the entry stays to be ended again, and each step may come twice.
-- What is decided, is decided by columns and by fields of the job's hash; no JSON is looked into. Comes
-- after holders.lua, pending.lua, earlier.lua, checks.lua, which says what is written where an accepted
-- answer is counted, and records.lua, which says what is written where the fleet keeps an audit log. There
-- each result has its record before it stands: an error between the two makes the record void.
--
--   {source}                   XPENDING, XRANGE, XACK, XDEL   the entry that ends here
--                              XCLAIM JUSTID          the entry that waits
--   {at}                       XPENDING, XACK, XDEL   the entry of a job that is cancelled
--   {backlog}                  XINFO STREAM, XSETID   keep its lag right, where nobody had read one
--   {slice}:job:{producer}:{id}   hash, TTL     in flight: origin, fingerprint, reply, at, entry, from
--                                            ended: status, fingerprint
--                                            cancelled before it came: cancelled, record, salt
--                                            refused, where there is an audit log: refusal
--   {slice}:result:{producer}:{id}          string, TTL   the result, written once
--   {slice}:due                   zset, TTL     the jobs in flight by deadline, in ms
--   {slice}:review:{task}         zset, TTL     the jobs that wait for a person, by when that ends, in ms
--   {slice}:results:{producer}:{reply_to}   channel       the ids that a client waits for, line by line
--   {slice}:dead                  stream        the reason why an entry is given up
--   {slice}:dead:{entry}          string, TTL   the raw submission behind one
--   {slice}:dead:kept             stream, TTL   the bytes of each raw submission that is kept
--   {slice}:dead:bytes            string, TTL   the bytes of all of them
--   {slice}:dead:written          string, TTL   how many letters were written
--   {slice}:booked:{date}         hash, TTL     what was spent
--   {slice}:submissions:{producer}   hash       how many were settled, by which it is seen that one is missing
--
-- KEYS[1] source stream, KEYS[2] booked hash, KEYS[3] due
-- ARGV[1] group, [2] who settles, then the namespace and the bounds, [10] '1' where who settles must hold
-- the entries, [11] how many rows, [12] '1' where they bring records, then rows of 19 columns ('' where absent):
--   verb         result | move | wait | refuse | cancel
--   entry        the entry in the source stream
--   producer     whose job it is
--   id           the job's id ('' where the submission is too broken to have one)
--   first        '1' for a submission: check for duplicates, and register
--   fingerprint  by which a repeat of the job is known
--   status       the result's
--   reply_to     whom to notify
--   body         the result's JSON   move: the job's JSON
--   slip         move: the routing slip's JSON
--   to           move: the stream it goes to   wait: the consumer it is pending with
--   expires      move, wait: the job's deadline in ms; or, before it, the end of its wait for a person
--   letter       the dead letter's JSON
--   raw          the raw submission behind it
--   booked       what to book, a line an attempt: task:step:outcome, seconds, cost, tokens, those of
--                them that were written, joules ('-' where nothing measured them)
--   changes      what to count by one besides, where the job ends or moves here
--   accepted     result: what is counted of a machine's answer, where its task is audited; see checks.lua
--   record, salt what the audit log keeps of the result
-- and behind them, of each answer that may be drawn, its check: job, slip, check, when it is dropped.
-- Returns {results, moves, waiting, joined, fenced, logged}: how many rows ended each way, and whether there
-- is an audit log; or, before anything is written, nothing, where there is one and the rows bring no records.

local COLUMNS, FIRST = 19, 13
local source, booked, due = KEYS[1], KEYS[2], KEYS[3]
local group, settler, ns = ARGV[1], ARGV[2], ARGV[3]
local result_ttl, job_ttl, dead_ttl = ARGV[4], ARGV[5], ARGV[6]
local max_dead, max_dead_bytes, max_waiters = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local must_hold = ARGV[10] == '1'
local has_log = is_logged(ns)
if has_log and ARGV[12] ~= '1' then return {} end
local BOOKED_TTL = 35 * 86400
local MANY = 8
-- How long a cancellation waits for its job: a submission that is on its way comes within seconds.
local CANCEL_TTL = 600
local counts = { results = 0, moves = 0, waiting = 0, joined = 0, fenced = 0 }

-- Who has an entry in hand; nil where nobody has.
local function holder_of(stream, its_group, entry)
  local pending = pending_of(stream, its_group, entry)
  return pending and pending[2]
end

-- Whether a router asks, of an entry that is not pending, and it is there: nobody has read it yet.
local function is_unread(entry)
  return is_router(settler) and #redis.call('XRANGE', source, entry, entry) == 1
end

-- After an entry was deleted that its group had not read, Redis tells no lag of it, by which a pool is
-- scaled. So the entry counts as never added. Before Redis 7 there is no lag, and no such count. A wrong
-- lag is no reason to fail: all that matters is written.
local function mend_lag(stream, num_deleted)
  local about, found = {}, redis.pcall('XINFO', 'STREAM', stream)
  for i = 1, #found, 2 do about[found[i]] = found[i + 1] end
  if not about['entries-added'] then return end
  redis.pcall('XSETID', stream, about['last-generated-id'],
    'ENTRIESADDED', about['entries-added'] - num_deleted, 'MAXDELETEDID', '0-1')
end

-- A copy that a candidate in shadow is asked: nobody waits for it, so that it leaves no letter and no record.
local function is_copy(row) return row.producer == '@shadow' end

local function job_of(row) return row.producer .. ':' .. row.id end

local function job_key(row) return ns .. ':job:' .. job_of(row) end

local function result_key(row) return ns .. ':result:' .. job_of(row) end

-- The ids to tell each name of. Said once all is written, or an error ends it, and kept nowhere.
local notices = {}

-- Runs a command on entries, a thousand at a time: Lua passes no more than some thousand arguments at
-- once. Returns the sum of what it returns.
local function on_each(command, entries)
  local sum = 0
  for i = 1, #entries, 1000 do
    sum = sum + command(unpack(entries, i, math.min(i + 999, #entries)))
  end
  return sum
end

-- Deletes entries of one stream that have ended: those that were in hand, and those nobody had read.
local function drop(stream, its_group, in_hand, unread)
  local function delete(...) return redis.call('XDEL', stream, ...) end
  local function acknowledge(...) return redis.call('XACK', stream, its_group, ...) end
  local num_deleted, num_unread = on_each(delete, in_hand), on_each(delete, unread)
  local producer = producer_of(ns, stream)
  if producer and num_deleted + num_unread > 0 then
    redis.call('HINCRBY', ns .. ':submissions:' .. producer, 'settled', num_deleted + num_unread)
  end
  local task, priority = people_of(ns, stream)
  if task then
    local function forget(...)
      local members = { ... }
      for i = 1, #members do members[i] = priority .. ':' .. members[i] end
      return redis.call('ZREM', ns .. ':review:' .. task, unpack(members))
    end
    on_each(forget, in_hand)
    on_each(forget, unread)
    for _, entry in ipairs(in_hand) do forget_earlier(ns, task, priority, entry) end
  end
  on_each(acknowledge, in_hand)
  if num_unread > 0 and its_group == 'pool' then mend_lag(stream, num_unread) end
end

local function take_out(stream, entry)
  local its_group = group_of(ns, stream)
  local by = holder_of(stream, its_group, entry)
  if not by then drop(stream, its_group, {}, { entry }) end
  -- A person who has it is told, when the answer comes.
  if by and (not is_worker(by) or people_of(ns, stream)) then drop(stream, its_group, { entry }, {}) end
  forget_pending(stream, entry)
end

local function notify(reply_to, row)
  if reply_to == '' then return end
  local channel = ns .. ':results:' .. row.producer .. ':' .. reply_to
  local ids = notices[channel] or {}
  ids[#ids + 1] = row.id
  notices[channel] = ids
end

-- A notice may be missed, and must undo nothing.
local function publish()
  for channel, ids in pairs(notices) do redis.pcall('PUBLISH', channel, table.concat(ids, '\n')) end
end

-- The names that wait for a job, one more among them. Beyond the bound a name is left out: who is not
-- told asks for the result by its id. So a job that is submitted for ever costs no more and no longer.
local function with_waiter(waiting, name)
  if name == '' or string.find('\n' .. waiting .. '\n', '\n' .. name .. '\n', 1, true) then
    return waiting
  end
  if waiting == '' then return name end
  local _, others = string.gsub(waiting, '\n', '')
  return others + 1 < max_waiters and waiting .. '\n' .. name or waiting
end

local function milliseconds(entry)
  return tonumber(string.match(entry, '^%d+'))
end

-- Drops the oldest raw submissions until as many are kept as letters, in as many bytes and for as long
-- as may be. One that is kept has its letter: each letter has a place here, and the oldest go first.
local function drop_oldest_raws(bytes, now_ms)
  local kept = ns .. ':dead:kept'
  local oldest = redis.call('XRANGE', kept, '-', '+', 'COUNT', 1)[1]
  while oldest and (redis.call('XLEN', kept) > max_dead or bytes > max_dead_bytes
      or milliseconds(oldest[1]) + dead_ttl * 1000 <= now_ms) do
    redis.call('DEL', ns .. ':dead:' .. oldest[1])
    redis.call('XDEL', kept, oldest[1])
    bytes = redis.call('INCRBY', ns .. ':dead:bytes', -oldest[2][2])
    oldest = redis.call('XRANGE', kept, '-', '+', 'COUNT', 1)[1]
  end
  -- However the sum came to differ, here it is right again.
  if not oldest then redis.call('DEL', ns .. ':dead:bytes') end
end

local function write_dead_letter(letter, raw)
  local kept, sum = ns .. ':dead:kept', ns .. ':dead:bytes'
  local entry = redis.call('XADD', ns .. ':dead', 'MAXLEN', '=', max_dead, '*', 'letter', letter)
  if raw ~= '' then redis.call('SET', ns .. ':dead:' .. entry, raw, 'EX', dead_ttl) end
  redis.call('XADD', kept, entry, 'bytes', #raw)
  local bytes = redis.call('INCRBY', sum, #raw)
  redis.call('EXPIRE', kept, dead_ttl)
  redis.call('EXPIRE', sum, dead_ttl)
  -- A count for alerts: the letters that are kept have a bound, and at it grow no more. Where Redis lets
  -- this role do no such thing yet, as in the midst of an upgrade, the letter is written all the same.
  redis.pcall('INCRBY', ns .. ':dead:written', 1)
  redis.pcall('EXPIRE', ns .. ':dead:written', dead_ttl)
  drop_oldest_raws(bytes, milliseconds(entry))
end

-- What the rows spent, by the name to book it under; and what is counted by one besides.
local spent, changed = {}, {}

local function book_one(cell, seconds, cost, tokens, written, joules)
  local sums = spent[cell]
  if not sums then
    sums = { jobs = 0, seconds = 0, cost = 0, tokens = 0, written = 0, joules = 0, metered = 0 }
    spent[cell] = sums
  end
  sums.jobs, sums.seconds, sums.cost = sums.jobs + 1, sums.seconds + seconds, sums.cost + cost
  sums.tokens, sums.written = sums.tokens + tokens, sums.written + written
  if joules ~= '-' then sums.joules, sums.metered = sums.joules + joules, sums.metered + seconds end
end

local ATTEMPT = '(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)'

local function book(row)
  if row.booked == '' then return end
  for cell, seconds, cost, tokens, written, joules in string.gmatch(row.booked, ATTEMPT) do
    book_one(cell, seconds, cost, tokens, written, joules)
  end
  if row.changes == '' then return end
  for name in string.gmatch(row.changes, '%S+') do changed[name] = (changed[name] or 0) + 1 end
end

-- Work was done and paid for, and its answer is not wanted: the job has ended before.
local function book_in_vain(row)
  row.booked, row.changes = string.gsub(row.booked, ':[^: ]+ ', ':fenced '), ''
  book(row)
end

-- What was submitted. Only a row that moves it or keeps it brings it: the entry is still there, unless
-- its producer has deleted it.
local function raw_of(row)
  if row.raw ~= '' then return row.raw end
  if row.verb == 'move' then return row.body end
  local found = redis.call('XRANGE', source, row.entry, row.entry)[1]
  local fields = found and found[2] or {}
  for i = 1, #fields, 2 do
    if fields[i] == 'job' then return fields[i + 1] end
  end
  return ''
end

local function write_letter(row, letter, raw)
  if not is_copy(row) then write_dead_letter(letter, raw) end
end

local function conflict(row)
  local raw = raw_of(row)
  write_letter(row, cjson.encode({ producer = row.producer, id = row.id, reason = 'id_conflict', size = #raw,
    digest = 'sha1:' .. redis.sha1hex(raw),
    detail = 'this id was submitted before with another text, task or options; the first one stands' }), raw)
end

local function check_at(place)
  return unpack(ARGV, FIRST + ARGV[11] * COLUMNS + place - 1, FIRST + ARGV[11] * COLUMNS + place + 2)
end

-- Counts an answer that is new: of two that settle a job, one. It comes behind the result; where Redis
-- lets this role do no such thing yet, as in the midst of an upgrade, the job ends all the same.
local function audit(row)
  if row.accepted ~= '' then pcall(count_accepted, ns, row.accepted, check_at) end
end

-- Writes a result if there is none; gives whether it did.
local function write_result(row)
  if not has_log or is_copy(row) then
    return redis.call('SET', result_key(row), row.body, 'NX', 'EX', result_ttl)
  end
  if redis.call('EXISTS', result_key(row)) == 1 then return false end
  local entry = log_record(ns, row)
  local is_done, written = pcall(redis.call, 'SET', result_key(row), row.body, 'NX', 'EX', result_ttl)
  if not is_done then
    void_record(ns, entry)
    error(written)
  end
  return written
end

local function note_end(row, fingerprint)
  local key = job_key(row)
  redis.call('HSET', key, 'status', row.status, 'fingerprint', fingerprint)
  redis.call('EXPIRE', key, result_ttl)
  redis.call('ZREM', due, job_of(row))
  redis.call('HDEL', key, 'origin', 'reply', 'at', 'entry', 'from', 'cancelled', 'record', 'salt')
end

local function finish(row)
  local known = redis.call('HMGET', job_key(row), 'reply', 'fingerprint')
  local reply, fingerprint = known[1] or row.reply_to, known[2] or row.fingerprint
  local is_new = write_result(row)
  for name in string.gmatch(reply, '[^\n]+') do notify(name, row) end
  -- Still in flight with a result: an error ended an earlier try right here.
  if is_new or known[1] then note_end(row, fingerprint) end
  if not is_new then return 'fenced' end
  audit(row)
  book(row)
  return 'results'
end

-- Has somebody told, too, when the job in flight has its result.
local function join(key, reply, reply_to)
  local waiting = with_waiter(reply or '', reply_to)
  if waiting ~= (reply or '') then redis.call('HSET', key, 'reply', waiting) end
end

-- Lets a submission in, and says how it ended if not, and else whether its id is known since now. Where
-- the id is taken by an earlier one, its result answers this one too; a refusal takes no id: a corrected
-- job may be submitted under it again. A cancellation that came before its job ends it. What has its
-- result at once never is in flight, and is not noted as if it were.
local function admit(row, at)
  if row.first ~= '1' then return nil end
  local key, result = job_key(row), result_key(row)
  local known = redis.call('HMGET', key, 'origin', 'fingerprint', 'reply', 'status', 'cancelled', 'record',
    'salt')
  local origin, fingerprint, reply, status, cancelled, record, salt = unpack(known)
  -- Its own registration: it waited since, or an error ended an earlier try.
  local is_known = origin == row.entry
  if not is_known and redis.call('EXISTS', result) == 1 and status ~= 'refused' then
    -- Who ended by its id alone, as a job that could not be read, has no fingerprint.
    if fingerprint and fingerprint ~= '' and fingerprint ~= row.fingerprint then conflict(row) end
    notify(row.reply_to, row)
    return 'joined'
  end
  if status and not origin then
    -- One by one: Redis lets a user name two keys in a command only where one rule covers both.
    redis.call('DEL', result)
    redis.call('DEL', key)
  end
  if origin and not is_known then
    if fingerprint ~= row.fingerprint then conflict(row) end
    join(key, reply, row.reply_to)
    return 'joined'
  end
  if not is_known then
    if row.verb == 'result' and not cancelled then return nil, true end
    local place = at and { 'at', at } or {}
    redis.call('HSET', key, 'origin', row.entry, 'fingerprint', row.fingerprint, 'reply', row.reply_to,
      unpack(place))
  end
  redis.call('EXPIRE', key, job_ttl)
  if not cancelled then return nil, not is_known end
  book_in_vain(row)
  row.status, row.body, row.booked, row.accepted = 'cancelled', cancelled, '', ''
  row.record, row.salt = record or '', salt or ''
  return finish(row)
end

-- Ends a job that nobody knew of. How it ended is noted first: where an error comes between, the next try
-- finds no result, and begins anew.
local function finish_new(row)
  local key = job_key(row)
  redis.call('HSET', key, 'status', row.status, 'fingerprint', row.fingerprint)
  redis.call('EXPIRE', key, result_ttl)
  local is_new = write_result(row)
  notify(row.reply_to, row)
  if is_new then audit(row) end
  book(row)
  return 'results'
end

local function result(row)
  local ended, is_new = admit(row)
  if ended then return ended end
  if row.letter ~= '' then write_letter(row, row.letter, row.raw) end
  return is_new and finish_new(row) or finish(row)
end

-- Notes where a job goes, before it is put there: what keeps it from being noted is known then. A job that
-- is new has it noted already.
local function note_place(row, key, stream, is_new)
  if not is_new then redis.call('HSET', key, 'at', stream) end
  -- What waits for a person is due before its deadline, and what has waited is due by that again.
  if row.first == '1' or people_of(ns, stream) or people_of(ns, source) then
    redis.call('ZADD', due, row.expires, job_of(row))
  end
  if row.first ~= '1' then redis.call('EXPIRE', key, job_ttl) end
end

-- Lists a job among those that wait for a person.
local function list(row, entry)
  local task, priority = people_of(ns, row.to)
  if not task then return end
  local key = ns .. ':review:' .. task
  redis.call('ZADD', key, row.expires, priority .. ':' .. entry)
  redis.call('EXPIRE', key, job_ttl)
end

local function move(row)
  local ended, is_new = admit(row, row.to)
  if ended then return ended end
  local key, from = job_key(row), source .. ' ' .. row.entry
  if not is_new then
    if redis.call('EXISTS', result_key(row)) == 1 then return 'fenced' end
    -- Moved by an earlier try, which an error ended before it could acknowledge.
    if redis.call('HMGET', key, 'from')[1] == from then return 'moves' end
  end
  note_place(row, key, row.to, is_new)
  book(row)
  local entry = redis.call('XADD', row.to, '*', 'producer', row.producer, 'id', row.id, 'job', row.body,
    'slip', row.slip)
  list(row, entry)
  redis.call('HSET', key, 'entry', entry, 'from', from)
  return 'moves'
end

local function wait(row)
  local ended, is_new = admit(row, source)
  if ended then return ended end
  local key = job_key(row)
  note_place(row, key, source, is_new)
  redis.call('HSET', key, 'entry', row.entry)
  redis.call('XCLAIM', source, group, row.to, 0, row.entry, 'JUSTID')
  return 'waiting'
end

-- Writes the result of a refusal, in place of one before. An error may have ended an earlier try after it.
local function refuse_with(row, its_result, refusal)
  local entry
  if has_log and refusal ~= row.entry then
    entry = log_record(ns, row)
    redis.call('HSET', job_key(row), 'refusal', row.entry)
  end
  local is_done, problem = pcall(redis.call, 'SET', its_result, row.body, 'EX', result_ttl)
  if is_done then return end
  if entry then
    redis.call('HDEL', job_key(row), 'refusal')
    void_record(ns, entry)
  end
  error(problem)
end

-- Answers a submission that is no job, or none any more, where it waited for a pool that is gone. It
-- ends no other job of that id, in flight or done: who sent the refused one is told what stands, or
-- what will.
local function refuse(row)
  write_letter(row, row.letter, row.raw)
  if row.id == '' then return 'results' end
  local key, its_result = job_key(row), result_key(row)
  local known = redis.call('HMGET', key, 'origin', 'status', 'reply', 'refusal')
  local origin, status, reply = known[1], known[2], known[3] or row.reply_to
  if origin and origin ~= row.entry then
    join(key, known[3], row.reply_to)
    return 'joined'
  end
  local is_new = redis.call('EXISTS', its_result) == 0 or status == 'refused'
  for name in string.gmatch(reply, '[^\n]+') do notify(name, row) end
  if is_new then
    note_end(row, '')
    refuse_with(row, its_result, known[4])
  end
  return is_new and 'results' or 'joined'
end

-- Ends the job that a cancellation names, and its entry, wherever it waits. A worker that has it in
-- hand is left alone: what it answers is fenced. From a person's hands it is taken. What is not known
-- yet may be on its way.
local function cancel(row)
  local key = job_key(row)
  local known = redis.call('HMGET', key, 'origin', 'status', 'at', 'entry')
  local origin, status, at, entry = unpack(known)
  if not origin then
    if status or redis.call('EXISTS', result_key(row)) == 1 then return 'joined' end
    redis.call('HSET', key, 'cancelled', row.body)
    if has_log then redis.call('HSET', key, 'record', row.record, 'salt', row.salt) end
    redis.call('EXPIRE', key, CANCEL_TTL)
    return 'joined'
  end
  -- First, since an ended job is not looked for any more where an error ends this.
  if at and entry then take_out(at, entry) end
  return finish(row)
end

local WAYS = { result = result, move = move, wait = wait, refuse = refuse, cancel = cancel }

-- The entries of the source that have ended.
local in_hand, unread = {}, {}

local function settle(row)
  local by = holder_of(source, group, row.entry)
  if by and must_hold and by ~= settler or not by and not is_unread(row.entry) then
    book_in_vain(row)
    return 'fenced'
  end
  local ended = WAYS[row.verb](row)
  if ended == 'fenced' or ended == 'joined' then book_in_vain(row) end
  local ends = by and in_hand or unread
  if ended ~= 'waiting' then ends[#ends + 1] = row.entry end
  return ended
end

local function add(cell, kind, amount, format)
  if amount == 0 then return end
  if not format then return redis.call('HINCRBY', booked, cell .. ':' .. kind, amount) end
  redis.call('HINCRBYFLOAT', booked, cell .. ':' .. kind, string.format(format, amount))
end

-- Once for all rows: what they spent is booked, and their entries are acknowledged.
local function close()
  for cell, sums in pairs(spent) do
    add(cell, 'jobs', sums.jobs)
    add(cell, 'seconds', sums.seconds, '%.6f')
    add(cell, 'cost', sums.cost, '%.9f')
    add(cell, 'tokens', sums.tokens)
    add(cell, 'written', sums.written)
    add(cell, 'joules', sums.joules, '%.6f')
    add(cell, 'metered', sums.metered, '%.6f')
  end
  for name, number in pairs(changed) do redis.call('HINCRBY', booked, name, number) end
  if next(spent) then redis.call('EXPIRE', booked, BOOKED_TTL) end
  if group == 'router' then redis.call('EXPIRE', due, job_ttl) end
  drop(source, group, in_hand, unread)
end

-- Those rows are carried out that came before the error. An error is a table from Redis 7 on, and before
-- it a string.
local function failed(problem)
  publish()
  return type(problem) == 'table' and problem or redis.error_reply(problem)
end

-- A few rows are looked up one by one.
if tonumber(ARGV[11]) >= MANY then look_ahead(source, group, settler, '-', '+', 2 * ARGV[11] + MANY) end

-- Redis lets a script that has written go on where memory is full, and what is in hand must end all the
-- same. This write needs no memory, and changes nothing.
redis.call('EXPIRE', booked, BOOKED_TTL)

for i = FIRST, FIRST + ARGV[11] * COLUMNS - 1, COLUMNS do
  local row = {}
  row.verb, row.entry, row.producer, row.id, row.first, row.fingerprint, row.status, row.reply_to,
    row.body, row.slip, row.to, row.expires, row.letter, row.raw, row.booked, row.changes, row.accepted,
    row.record, row.salt
    = unpack(ARGV, i, i + COLUMNS - 1)
  local is_settled, ended = pcall(settle, row)
  if not is_settled then
    pcall(close)
    return failed(ended)
  end
  counts[ended] = counts[ended] + 1
end
local is_closed, problem = pcall(close)
if not is_closed then return failed(problem) end
publish()
return { counts.results, counts.moves, counts.waiting, counts.joined, counts.fenced, has_log and 1 or 0 }
