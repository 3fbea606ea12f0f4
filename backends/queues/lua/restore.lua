#!lua flags=allow-oom
-- needs: letters, operations
-- One step of taking an operation back. ARGV: op, limit, 1 to begin the undo ('' only goes on with what has begun).
-- While an operation stands in `ops:restoring` anybody may go on with it: its value is the sequence above which letters go
-- back to the dead ones, 0 for all. A run that has started is left alone; what belongs to one that is not here (it has ended,
-- or was moved or cancelled) is kept in the trash, for it may come back. Returns {back, not back, 1 if there is more}, and of
-- all steps of this undo, whoever took them {back, not back, of these: at work}.
local MOST_BYTES = 2000000
local op, limit = ARGV[1], tonumber(ARGV[2])
local trash, what, told = trash_key(op), what_is(op), P .. 'ops:told'

-- {back, not back, more} and the sums.
local function answer(back, started, more)
  local sums = redis.call('HMGET', told, op, op .. ':left', op .. ':work')
  return { back, started, more, tonumber(sums[1] or 0), tonumber(sums[2] or 0), tonumber(sums[3] or 0) }
end

if not what or what.gone then return answer(0, 0, 0) end
if ARGV[3] == '1' then redis.call('HSET', P .. 'ops:restoring', op, '0') end
local above = redis.call('HGET', P .. 'ops:restoring', op)
if not above then return answer(0, 0, 0) end
local back, started, at_work, bytes, records, kept = 0, 0, 0, 0, {}, {}

-- A purge of all comes back by its names, so that the old list is whole again at once; what died since then lies in the
-- trash and follows.
local function swap()
  local dead, gone = redis.call('ZCARD', P .. 'dead'), redis.call('ZCARD', trash)
  if gone <= dead or redis.call('EXISTS', trash .. ':index') == 0 then return end
  for _, name in ipairs(INDEXES) do
    rename(P .. 'dead' .. name, trash .. ':swap')
    rename(trash .. name, P .. 'dead' .. name)
    rename(trash .. ':swap', trash .. name)
  end
  back = gone - dead
end

-- The run of a letter, or one that was let in, could not be pulled out.
local function is_left(run, letter, word)
  if word ~= 'unknown' then
    at_work = at_work + 1
  elseif not redis.call('ZSCORE', P .. 'dead', run) then
    kept[#kept + 1] = letter
    return
  end
  return true
end

-- Each undoes some of what lies in the trash and returns how many of these are back; it may leave a rest for large ones.
local undo = {}

function undo.purge(letters)
  local there = whole(trash, letters)
  untrash(op, there)
  return put_back(there), #letters
end

function undo.retry(letters)
  local edited = redis.call('EXISTS', trash .. ':as') == 1
  local out, done = {}, {}
  for _, letter in ipairs(letters) do
    if bytes > MOST_BYTES then break end
    done[#done + 1] = letter
    local head = head_of(letter.seq)
    local as = edited and redis.call('HGET', trash .. ':as', letter.run)
    local h, word
    if head then h, word = pull(as or letter.run, as and '1' or int(head.attempts + 1)) end
    if h then
      letter.group = head.group
      bytes = bytes + #h[6]
      release(h[7], as or letter.run)
      out[#out + 1] = letter
    elseif not head or is_left(as or letter.run, letter, word) then
      redis.call('DEL', record_key(letter.seq))
    end
  end
  untrash(op, done)
  return put_back(out), #done
end

function undo.enter(letters)
  local count = 0
  for n, letter in ipairs(letters) do
    if bytes > MOST_BYTES then return count, n - 1 end
    redis.call('ZREM', trash, letter.run)
    local h, word = pull(letter.run, '1')
    if not h then
      is_left(letter.run, letter, word)
    else
      bytes, count = bytes + #h[6], count + 1
      records[#records + 1] = attempt_record(letter.run, h[1], h[5], 'cancelled', true, now_us(),
        origin_fields(letter.run, h[6]) .. ',"by":' .. cjson.encode('undo of ' .. op))
      release(h[7], letter.run)
    end
  end
  return count, #letters
end

function undo.cancel(letters)
  local count = 0
  for n, letter in ipairs(letters) do
    if bytes > MOST_BYTES then return count, n - 1 end
    redis.call('ZREM', trash, letter.run)
    local packed = redis.call('HGET', trash .. ':held', letter.run)
    redis.call('HDEL', trash .. ':held', letter.run)
    if packed then
      bytes = bytes + #packed
      -- that it was cancelled is recorded for the attempt it had
      if enter_again(letter.run, unpacked(packed), 1, records) ~= 'duplicate' then count = count + 1 end
    end
  end
  return count, #letters
end

local found
if above ~= '0' then
  found = redis.call('ZRANGE', trash, '+inf', '(' .. above, 'BYSCORE', 'REV', 'LIMIT', 0, limit, 'WITHSCORES')
else
  if what.kind == 'purge' then swap() end
  -- the reverse of the order in which runs entered, so that a slot that is freed does not start the next one
  if what.kind == 'cancel' then found = redis.call('ZRANGE', trash, 0, limit - 1, 'WITHSCORES')
  else found = redis.call('ZRANGE', trash, 0, limit - 1, 'REV', 'WITHSCORES') end
end
local count, done = undo[what.kind](letters_of(found))
back, started = back + count, done - count
publish(records)
if #kept > 0 then redis.call('ZADD', trash .. ':kept', unpack(scored(kept))) end
if above == '0' then
  redis.call('HINCRBY', told, op, back)
  redis.call('HINCRBY', told, op .. ':left', started)
  redis.call('HINCRBY', told, op .. ':work', at_work)
end
if redis.call('ZCOUNT', trash, '(' .. above, '+inf') > 0 then return answer(back, started, 1) end
local sums = answer(back, started, 0)
rename(trash .. ':kept', trash)
if above ~= '0' or (sums[4] == 0 and redis.call('EXISTS', trash) == 1) then
  redis.call('HDEL', P .. 'ops:restoring', op) -- no undo, or one that has changed nothing: it can be tried again
  redis.call('HDEL', told, op, op .. ':left', op .. ':work')
else
  end_op(op, what)
end
return sums
