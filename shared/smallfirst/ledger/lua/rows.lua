-- luacheck: ignore row_of
-- What scripts that take entries share; it is put before their own text. An entry is given without
-- the field that is left out; one that is larger than its reader takes is given as what its dead
-- letter needs, and never whole.

local EXCERPT_BYTES = 4096

-- The bytes of an entry, names and values.
local function size_of(fields)
  local size = 0
  for _, each in ipairs(fields) do size = size + #each end
  return size
end

local function without(fields, left_out)
  if left_out == '' then return fields end
  local kept = {}
  for i = 1, #fields, 2 do
    if fields[i] ~= left_out then
      kept[#kept + 1] = fields[i]
      kept[#kept + 1] = fields[i + 1]
    end
  end
  return kept
end

-- What is too large: the job, or else all of the entry.
local function subject_of(fields, limit)
  local lines = {}
  for i = 1, #fields, 2 do
    if fields[i] == 'job' and #fields[i + 1] > limit then return fields[i + 1] end
    lines[#lines + 1] = fields[i] .. '=' .. fields[i + 1]
  end
  return table.concat(lines, '\n')
end

-- The row of one entry: {entry, starts, fields, holder, bytes}, and where there are more bytes than
-- the limit (0 is none), no fields but {..., size, digest and beginning of what is too large}.
local function row_of(entry, starts, fields, holder, limit, left_out)
  local size = size_of(fields)
  if limit == 0 or size <= limit then
    return { entry, starts, without(fields, left_out), holder, size }
  end
  local subject = subject_of(fields, limit)
  return { entry, starts, {}, holder, size,
    #subject, 'sha1:' .. redis.sha1hex(subject), string.sub(subject, 1, EXCERPT_BYTES) }
end
