-- Operations of an operator, as far as they can be undone (`ops`, `ops:what`, `ops:restoring`, `trash:<op>`). A letter that
-- an operation took away keeps its record; `trash:<op>` has its run id and sequence. Its owner is `dead` or one trash.
local INDEXES = { '', ':index', ':groups', ':kinds' }

-- A key that is not there is left out: a script that fails half-way has done its first half.
local function rename(from, to)
  if redis.call('EXISTS', from) == 1 then redis.call('RENAME', from, to) end
end

local function trash_key(op) return P .. 'trash:' .. op end

-- What an operation is: {kind, by, gone}; `gone`: it was undone, or its time is over. nil where there is none. What can't be
-- read is gone: it does nothing any more, and is forgotten when its time is over.
local KINDS = { purge = true, retry = true, enter = true, cancel = true }
local function what_is(op)
  local found = redis.call('HGET', P .. 'ops:what', op)
  if not found then return nil end
  local ok, what = pcall(cjson.decode, found)
  if ok and type(what) == 'table' and KINDS[what.kind] then return what end
  return { kind = 'purge', by = '?', gone = true }
end

-- Whether an operation may act: not once it is being undone, so that a driver that slept meanwhile changes nothing.
local function may_act(op, kind)
  local what = what_is(op)
  return not what or (what.kind == kind and not what.gone and redis.call('HEXISTS', P .. 'ops:restoring', op) == 0)
end

local function note_op(op, kind, by, until_ms)
  redis.call('HSETNX', P .. 'ops:what', op, cjson.encode({ kind = kind, by = by }))
  redis.call('ZADD', P .. 'ops', 'GT', until_ms, op)
end

-- It has acted for the last time. What it is stays known until its time is over.
local function end_op(op, what)
  for n = 2, #INDEXES do redis.call('UNLINK', trash_key(op) .. INDEXES[n]) end
  redis.call('DEL', trash_key(op) .. ':as')
  redis.call('UNLINK', trash_key(op) .. ':held')
  redis.call('HDEL', P .. 'ops:restoring', op)
  redis.call('HSET', P .. 'ops:what', op, cjson.encode({ kind = what.kind, by = what.by, gone = true }))
end

-- Letters leave the trash, and the indexes that a purge of all has moved there.
local function untrash(op, letters)
  if #letters == 0 then return end
  if redis.call('EXISTS', trash_key(op) .. ':index') == 1 then
    lift_from(trash_key(op), letters)
  else
    redis.call('ZREM', trash_key(op), unpack(runs_of(letters)))
  end
end

-- Letters go from the dead ones into the trash of an operation. Where it has an older letter of the same run, which has died
-- again since, that one's record goes.
local function throw_away(op, letters)
  if #letters == 0 then return end
  lift(letters)
  for n, score in ipairs(redis.call('ZMSCORE', trash_key(op), unpack(runs_of(letters)))) do
    if score then
      local older = int(tonumber(score))
      local letter = { run = letters[n].run, seq = older }
      letter.group = group_in(trash_key(op), letter)
      untrash(op, { letter })
      redis.call('DEL', record_key(older))
    end
  end
  if redis.call('EXISTS', trash_key(op) .. ':index') == 1 then
    lay_into(trash_key(op), letters)
  else
    redis.call('ZADD', trash_key(op), unpack(scored(letters)))
  end
end

-- Letters go back among the dead ones, as they were. Where the run has come alive or died again since, the record of what
-- is older goes instead. Returns how many are back.
local function put_back(letters)
  if #letters == 0 then return 0 end
  local runs = runs_of(letters)
  local live, sequences = redis.call('HMGET', P .. 'live', unpack(runs)), sequences_of(runs)
  local back = {}
  for n, letter in ipairs(letters) do
    local other = sequences[n]
    if live[n] or not letter.group or (other and tonumber(other) > tonumber(letter.seq)) then
      redis.call('DEL', record_key(letter.seq))
    else
      if other then
        lift({ { run = letter.run, seq = other, group = group_in(P .. 'dead', { run = letter.run, seq = other }) } })
        redis.call('DEL', record_key(other))
      end
      back[#back + 1] = letter
    end
  end
  lay(back)
  return #back
end

-- {run, seq} of an answer with scores.
local function letters_of(found)
  local letters = {}
  for n = 1, #found, 2 do letters[#letters + 1] = { run = found[n], seq = int(tonumber(found[n + 1])) } end
  return letters
end
