-- luacheck: ignore forget_earlier
-- What scripts share that end what several people are asked; it is put before their own text.
--
--   {slice}:earlier:{task}:{priority}:{entry}   HKEYS, DEL
--   {slice}:answered:{task}:{person}            ZREM

-- Drops what persons decided on an entry that has ended. Where Redis lets this role do no such thing yet, as
-- in the midst of an upgrade, it is left to its TTL.
local function forget_earlier(ns, task, priority, entry)
  local key = ns .. ':earlier:' .. task .. ':' .. priority .. ':' .. entry
  local people = redis.pcall('HKEYS', key)
  if people.err or #people == 0 then return end
  for _, person in ipairs(people) do
    redis.pcall('ZREM', ns .. ':answered:' .. task .. ':' .. person, priority .. ':' .. entry)
  end
  redis.pcall('DEL', key)
end
