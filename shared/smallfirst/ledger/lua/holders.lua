-- luacheck: ignore is_router is_worker producer_of group_of people_of
-- What scripts share that tell holders apart; it is put before their own text. A holder is a router, the
-- queue, `waiting:{pool}:{priority}` (who waits for a backlog to have room), or else a worker.

local function is_router(name) return string.sub(name, 1, #'@router/') == '@router/' end

local function is_waiting(name) return string.sub(name, 1, #'waiting:') == 'waiting:' end

local function is_worker(name) return name ~= 'queue' and not is_waiting(name) and not is_router(name) end

-- Whose submissions a stream of the fleet holds; nil where it holds others.
local function producer_of(ns, stream)
  local before = ns .. ':jobs:'
  return string.sub(stream, 1, #before) == before and string.sub(stream, #before + 1) or nil
end

-- By which group a stream is read.
local function group_of(ns, stream)
  local is_routers = producer_of(ns, stream) or stream == ns .. ':escalations'
  return is_routers and 'router' or 'pool'
end

-- Of which task, and of which priority, the jobs are that wait for a person in a stream; nil where it
-- holds others.
local function people_of(ns, stream)
  local before = ns .. ':backlog:@people.'
  if string.sub(stream, 1, #before) ~= before then return nil end
  return string.match(string.sub(stream, #before + 1), '^([^:]+):([^:]+)$')
end
