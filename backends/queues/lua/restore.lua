#!lua flags=allow-oom
-- needs: letters, operations
-- One step of taking an operation back. ARGV: op, limit, 1 to begin the undo ('' only goes on with what has begun).
-- While an operation stands in `ops:restoring` anybody may go on with it: its value is the sequence above which letters go
-- back to the dead ones, 0 for all. A run that has started is left alone. Returns {back, started, 1 if there is more}.
local MOST_BYTES = 2000000
local op, limit = ARGV[1], tonumber(ARGV[2])
local trash, what = trash_key(op), what_is(op)
if not what or what.gone then return { 0, 0, 0 } end
if ARGV[3] == '1' then redis.call('HSET', P .. 'ops:restoring', op, '0') end
local above = redis.call('HGET', P .. 'ops:restoring', op)
if not above then return { 0, 0, 0 } end
local back, started, bytes, records = 0, 0, 0, {}

-- A purge of all comes back by its names, so that the old list is whole again at once; what died since then lies in the
-- trash and follows.
local function swap()
  local dead, gone = redis.call('ZCARD', P .. 'dead'), redis.call('ZCARD', trash)
  if gone <= dead or redis.call('EXISTS', trash .. ':index') == 0 then return end
  for _, name in ipairs(INDEXES) do
    if dead > 0 then redis.call('RENAME', P .. 'dead' .. name, trash .. ':swap') end
    redis.call('RENAME', trash .. name, P .. 'dead' .. name)
    if dead > 0 then redis.call('RENAME', trash .. ':swap', trash .. name) end
  end
  back = gone - dead
end

local function letter_back(run, seq, head)
  if head and put_back(run, seq, head) then return true end
  redis.call('DEL', record_key(seq))
  return false
end

local undo = {
  purge = function(run, seq)
    local head = head_of(seq)
    untrash(op, run, seq, head and head.group or '')
    return letter_back(run, seq, head)
  end,
  retry = function(run, seq)
    local head = head_of(seq)
    local as = redis.call('HGET', trash .. ':as', run)
    local h = head and pull(as or run, as and '1' or int(head.attempts + 1))
    redis.call('ZREM', trash, run)
    if not h then
      redis.call('DEL', record_key(seq))
      return false
    end
    bytes = bytes + #h[6]
    release(h[7], as or run)
    return letter_back(run, seq, head)
  end,
  enter = function(run)
    redis.call('ZREM', trash, run)
    local h = pull(run, '1')
    if not h then return false end
    bytes = bytes + #h[6]
    records[#records + 1] = attempt_record(run, h[1], h[5], 'cancelled', true, now_us(),
      ',"by":' .. cjson.encode('undo of ' .. op))
    release(h[7], run)
    return true
  end,
  cancel = function(run)
    redis.call('ZREM', trash, run)
    local packed = redis.call('HGET', trash .. ':held', run)
    redis.call('HDEL', trash .. ':held', run)
    local h = cmsgpack.unpack(packed)
    bytes = bytes + #packed
    return enter_again(run, h, 1, records) ~= 'duplicate' -- that it was cancelled is recorded for the attempt it had
  end,
}

local found
if above ~= '0' then
  found = redis.call('ZRANGE', trash, '+inf', '(' .. above, 'BYSCORE', 'REV', 'LIMIT', 0, limit, 'WITHSCORES')
else
  if what.kind == 'purge' then swap() end
  -- the reverse of the order in which runs entered, so that a slot that is freed does not start the next one
  if what.kind == 'cancel' then found = redis.call('ZRANGE', trash, 0, limit - 1, 'WITHSCORES')
  else found = redis.call('ZRANGE', trash, 0, limit - 1, 'REV', 'WITHSCORES') end
end
for n = 1, #found, 2 do
  if undo[what.kind](found[n], int(tonumber(found[n + 1]))) then back = back + 1 else started = started + 1 end
  if bytes > MOST_BYTES then break end
end
publish(records)
if redis.call('ZCOUNT', trash, '(' .. above, '+inf') > 0 then return { back, started, 1 } end
if above == '0' then end_op(op, what) else redis.call('HDEL', P .. 'ops:restoring', op) end
return { back, started, 0 }
