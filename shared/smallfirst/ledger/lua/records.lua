-- luacheck: ignore is_logged log_record void_record
-- What settle.lua does where the fleet keeps an audit log: each result has its record there, for the log's
-- keeper to take up. There is a log where its stream is; the keeper makes it. Where nobody takes records up,
-- so many are kept, and of what comes then it is counted how many are lost: no result waits for a log.
--
--   {slice}:log        XADD, XLEN, EXISTS    producer, id, record, salt; or void, an entry of it
--   {slice}:log:lost   HINCRBY               number

local MAX_RECORDS = 100000
-- Counted once for all rows of a script.
local num_records

-- Whether the fleet keeps a log. A role that may not know, as in the midst of an upgrade, keeps none.
local function is_logged(ns)
  local found = redis.pcall('EXISTS', ns .. ':log')
  return found == 1
end

-- Keeps a record; gives its entry, or nothing where there was no room.
local function log_record(ns, row)
  local log = ns .. ':log'
  num_records = (num_records or redis.call('XLEN', log)) + 1
  if num_records > MAX_RECORDS then
    redis.call('HINCRBY', log .. ':lost', 'number', 1)
    return nil
  end
  return redis.call('XADD', log, '*', 'producer', row.producer, 'id', row.id, 'record', row.record,
    'salt', row.salt)
end

-- Says that what a record tells did not come to be.
local function void_record(ns, entry)
  if entry then redis.call('XADD', ns .. ':log', '*', 'void', entry) end
end
