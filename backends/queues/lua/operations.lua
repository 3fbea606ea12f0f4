-- Operations of an operator, as far as they can be undone (`ops`, `ops:what`, `ops:restoring`, `trash:<op>`). A letter that
-- an operation took away keeps its record; `trash:<op>` has its run id and sequence. Its owner is `dead` or one trash.
local INDEXES = { '', ':index', ':groups', ':kinds' }

local function trash_key(op) return P .. 'trash:' .. op end

-- What an operation is: {kind, by, gone}; `gone`: it was undone, or its time is over. nil where there is none.
local function what_is(op)
  local what = redis.call('HGET', P .. 'ops:what', op)
  return what and cjson.decode(what)
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

-- A letter goes back among the dead ones, as it was; false where its run has come alive or died again since.
local function put_back(run, seq, head)
  if redis.call('HEXISTS', P .. 'live', run) == 1 then return false end
  local other = sequence_of(run)
  if other then
    if tonumber(other) > tonumber(seq) then return false end
    lift(run, other, head_of(other).group)
    redis.call('DEL', record_key(other))
  end
  lay(run, seq, head)
  return true
end

-- A letter leaves the trash, and the indexes that a purge of all has moved there.
local function untrash(op, run, seq, group)
  local trash = trash_key(op)
  redis.call('ZREM', trash, run)
  if redis.call('ZREM', trash .. ':index', index_member(group, seq, run)) == 1
    and redis.call('HINCRBY', trash .. ':groups', group, -1) <= 0 then
    redis.call('HDEL', trash .. ':groups', group)
    redis.call('HDEL', trash .. ':kinds', group)
  end
end
