-- Shared by every script. KEYS[1] is the queue's prefix, 'cronsole:{<namespace>/<queue>}:'; all keys derive from it and
-- share its hash tag, so each script is single-slot.
--
-- An entry of a ready stream has the fields, in this order:
--   i run id, a attempt, f failures, k crashes, p priority, j job, e envelope, c slot ('<key>|<limit>', '' for none)
-- A held entry (later, waiting) is the same, packed, in the hash `held`.
-- `live` says where a run is: 'r<place>:<entry id>' ready or running, 'l' later, 'w<key>' waiting, 'm<queue>' on its way to
-- another queue.
local P = KEYS[1]
local GROUP = 'engine'
-- The ready streams in the order they are served: runs that crashed an engine (alone), runs that an operator put in front,
-- then by priority.
local PLACES = { 'solo', 'front', '0', '1', '2' }

local function now_us()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local function int(n) return string.format('%.0f', n) end

-- A script that fails half-way has done its first half: so what lies in Redis is taken for what it should be only once it
-- is known to be that, whoever has written it. Here: digits, or what stands for them; a text, or what stands for it.
local function number(v, instead)
  local n = tonumber(v)
  if not n or n < 0 or n > 2 ^ 53 or n ~= math.floor(n) then return instead end
  return int(n)
end
local function text(v, instead) return type(v) == 'string' and v or instead end

-- A run that took an engine down waits in a stream of its own and is delivered alone.
local function place_of(prio, crashes)
  if (tonumber(crashes) or 0) > 0 then return 'solo' end
  return (prio == 'front' or prio == '0' or prio == '2') and prio or '1'
end

-- An entry as the scripts handle it, {a, f, k, p, j, e, c, due ms}, of whatever was found.
local function sound(h)
  return { number(h[1], '1'), number(h[2], '0'), number(h[3], '0'), number(h[4], '1'), text(h[5], '?'), text(h[6], ''),
    text(h[7], ''), number(h[8], '0') }
end

-- A packed entry. What can't be unpacked becomes the envelope of one, so that its bytes end as a dead letter.
local function unpacked(packed)
  local ok, h = pcall(cmsgpack.unpack, packed)
  if ok and type(h) == 'table' then return sound(h) end
  return sound({ [6] = packed })
end

-- The key and the limit of a slot; '' where there is none.
local function slot_parts(slot)
  local key, limit = string.match(slot, '^(.+)|(%d+)$')
  return key or '', limit or '1'
end

-- `place`: where it goes instead of where its priority says.
local function push(run, a, f, k, prio, job, env, slot, place)
  place = place or place_of(prio, k)
  local sid = redis.call('XADD', P .. 'ready:' .. place, '*',
    'i', run, 'a', a, 'f', f, 'k', k, 'p', prio, 'j', job, 'e', env, 'c', slot)
  redis.call('HSET', P .. 'live', run, 'r' .. place .. ':' .. sid)
  return sid
end

-- `due_ms`: when one that waits for a slot is due; '0' for at once.
local function hold(run, a, f, k, prio, job, env, slot, due_ms)
  redis.call('HSET', P .. 'held', run, cmsgpack.pack({ a, f, k, prio, job, env, slot, due_ms or '0' }))
end

local function unhold(run)
  local packed = redis.call('HGET', P .. 'held', run)
  if not packed then return nil end
  redis.call('HDEL', P .. 'held', run)
  return unpacked(packed)
end

local function push_held(run)
  local h = unhold(run)
  if h then push(run, h[1], h[2], h[3], h[4], h[5], h[6], h[7]) end
  return h ~= nil
end

-- It got the slot it waited for, but may not be due yet: then it has the slot while it is later. (What can't be unpacked
-- doesn't say that it has one.)
local function admit(run, slot)
  local h = unhold(run)
  if not h then return false end
  if h[7] == '' then h[7] = slot end
  if tonumber(h[8]) * 1000 > now_us() then
    hold(run, h[1], h[2], h[3], h[4], h[5], h[6], h[7])
    redis.call('ZADD', P .. 'later', h[8], run)
    redis.call('HSET', P .. 'live', run, 'l')
  else
    push(run, h[1], h[2], h[3], h[4], h[5], h[6], h[7])
  end
  return true
end

-- The fields of an entry, by name.
local function named(sid, v)
  local h = sound({ v[4], v[6], v[8], v[10], v[12], v[14], v[16] })
  return { i = text(v[2], sid), a = h[1], f = h[2], k = h[3], p = h[4], j = h[5], e = h[6], c = h[7] }
end

-- An entry, from XRANGE; nil when it is gone.
local function entry(place, sid)
  local found = redis.pcall('XRANGE', P .. 'ready:' .. place, sid, sid)
  if found.err or not found[1] then return nil end
  return named(sid, found[1][2])
end

local function is_pending(place, sid)
  local found = redis.pcall('XPENDING', P .. 'ready:' .. place, GROUP, sid, sid, 1)
  return not found.err and #found > 0
end

local function remove_entry(place, sid)
  local acked = redis.call('XACK', P .. 'ready:' .. place, GROUP, sid)
  redis.call('XDEL', P .. 'ready:' .. place, sid)
  return acked
end

-- Capacity is held by run id and handed on here, in the script that frees it; it never expires.
local function release(slot, run)
  local key, limit = slot_parts(slot)
  if key == '' then return end
  if redis.call('ZREM', P .. 'slot:' .. key, run) == 0 then return end
  local free = math.min(tonumber(limit) - redis.call('ZCARD', P .. 'slot:' .. key), 200)
  while free > 0 do
    local nxt = redis.call('ZPOPMIN', P .. 'wait:' .. key)[1]
    if not nxt then return end
    if admit(nxt, slot) then
      redis.call('ZADD', P .. 'slot:' .. key, int(now_us()), nxt)
      free = free - 1
    end
  end
end

-- First come, first served: the clock stands still in a script, so the score is made to rise.
local function line_up(key, run)
  local last = redis.call('ZRANGE', P .. 'wait:' .. key, -1, -1, 'WITHSCORES')[2]
  local score = math.max(now_us(), last and tonumber(last) + 1 or 0)
  redis.call('ZADD', P .. 'wait:' .. key, int(score), run)
end

local function publish(records)
  if #records > 0 then redis.call('XADD', P .. 'out', '*', 'r', '[' .. table.concat(records, ',') .. ']') end
end

local QUEUE = string.match(P, '{[^/]*/(.*)}:$')

-- The JSON of an AttemptRecord that no worker wrote: lost and cancelled ones.
local function attempt_record(run, a, job, outcome, final, at_us, extra)
  return '{"t":"attempt","run_id":' .. cjson.encode(run) .. ',"attempt":' .. a .. ',"job":' .. cjson.encode(job)
    .. ',"queue":' .. cjson.encode(QUEUE) .. ',"outcome":"' .. outcome .. '","final":' .. tostring(final)
    .. ',"finished_us":' .. int(at_us) .. (extra or '') .. '}'
end

-- What a final record says of the envelope, so that the run can be replayed from history: its text as a JSON string, for
-- here nobody knows whether it is JSON. Larger ones are not kept (backends/model.py, ENVELOPE_MOST).
local function envelope_field(env)
  if #env > 65536 then return '' end
  return ',"envelope":' .. cjson.encode(env)
end

-- What a record tells of where a run comes from: what its envelope says in plain text. A run of a fire has its instant in its
-- id (backends/model.py, fire_run_id). A field that comes after these in the record counts instead.
local ORIGIN = { id = 'producer_id', trigger = 'trigger', by = 'by', replayOf = 'replay_of' }
local FIRES = { schedule = true, catchup = true, backfill = true }
local function origin_fields(run, env)
  local ok, header = pcall(cjson.decode, #env <= 65536 and env or '')
  if not ok or type(header) ~= 'table' then return '' end
  local found = ''
  for name, field in pairs(ORIGIN) do
    local value = header[name]
    if type(value) == 'string' and #value <= 200 and string.match(value, '^[%w%p ]+$') then
      found = found .. ',"' .. field .. '":' .. cjson.encode(value)
    end
  end
  if FIRES[header.trigger] then
    found = found .. ',"scheduled_ms":' .. int(tonumber(string.sub(run, 1, 8) .. string.sub(run, 10, 13), 16) or 0)
  end
  return found
end

-- Take a run that has not started out of the queue; its slot stays with it. With `attempt` only if that is the one that is
-- next. Returns {a, f, k, p, j, e, c, due ms} and 'out' (nothing where the entry was lost), or nil and why not: 'unknown',
-- 'running', 'other' (another attempt is next).
local function pull(run, attempt)
  local where = redis.call('HGET', P .. 'live', run)
  local kind, h = string.sub(where or 'm', 1, 1), nil
  if kind == 'm' then return nil, 'unknown' end
  if kind == 'r' then
    local place, sid = string.match(where, '^r(%w+):(.+)$')
    if place and is_pending(place, sid) then return nil, 'running' end
    local e = place and entry(place, sid)
    if e then h = { e.a, e.f, e.k, e.p, e.j, e.e, e.c, '0' } end
    if attempt and h and h[1] ~= attempt then return nil, 'other' end
    if e then redis.call('XDEL', P .. 'ready:' .. place, sid) end
  else
    local packed = redis.call('HGET', P .. 'held', run)
    h = packed and unpacked(packed)
    if attempt and h and h[1] ~= attempt then return nil, 'other' end
    if kind == 'w' then
      redis.call('ZREM', P .. 'wait:' .. string.sub(where, 2), run)
    elseif h then
      h[8] = number(redis.call('ZSCORE', P .. 'later', run), '0')
      redis.call('ZREM', P .. 'later', run)
    end
    redis.call('HDEL', P .. 'held', run)
  end
  redis.call('HDEL', P .. 'live', run)
  redis.call('HDEL', P .. 'ctl', 'cancel:' .. run)
  return h, 'out'
end

-- 'cancelled' (it had not started and is gone) and what it was; 'asked': its worker will be told; 'unknown'.
local function cancel_run(run, by, records)
  local h, word = pull(run)
  if word == 'unknown' then return word end
  if word == 'running' then
    redis.call('HSET', P .. 'ctl', 'cancel:' .. run, by)
    return 'asked'
  end
  if h then
    records[#records + 1] = attempt_record(run, h[1], h[5], 'cancelled', true, now_us(),
      origin_fields(run, h[6]) .. ',"by":' .. cjson.encode(by) .. envelope_field(h[6]))
    release(h[7], run)
  end
  return 'cancelled', h
end

-- A run enters: ready, later, or waiting for its slot. `key` is '' when nothing limits it; `f`, `k`: failures and crashes
-- that it comes with.
local function let_in(run, a, prio, job, env, due_ms, key, limit, on_full, records, f, k)
  local slot = ''
  f, k, due_ms, limit = f or 0, k or 0, number(due_ms, '0'), number(limit, '1')
  if key ~= '' then
    slot = key .. '|' .. limit
    if on_full == 'replace' then
      for _, other in ipairs(redis.call('ZRANGE', P .. 'wait:' .. key, 0, 199)) do
        cancel_run(other, 'replaced by ' .. run, records)
      end
      for _, other in ipairs(redis.call('ZRANGE', P .. 'slot:' .. key, 0, 199)) do
        cancel_run(other, 'replaced by ' .. run, records)
      end
    end
    if redis.call('ZCARD', P .. 'slot:' .. key) >= tonumber(limit) then
      if on_full == 'skip' or (on_full == 'wait_one' and redis.call('ZCARD', P .. 'wait:' .. key) > 0) then
        return 'skipped'
      end
      hold(run, a, f, k, prio, job, env, slot, due_ms)
      line_up(key, run)
      redis.call('HSET', P .. 'live', run, 'w' .. key)
      return 'waiting'
    end
    redis.call('ZADD', P .. 'slot:' .. key, int(now_us()), run)
  end
  if tonumber(due_ms) * 1000 > now_us() then
    hold(run, a, f, k, prio, job, env, slot)
    redis.call('ZADD', P .. 'later', due_ms, run)
    redis.call('HSET', P .. 'live', run, 'l')
    return 'later'
  end
  push(run, a, f, k, prio, job, env, slot)
  return 'ready'
end

-- The same for a run that may be here already, alive or dead.
local function enter(run, ...)
  if redis.call('HEXISTS', P .. 'live', run) == 1 or redis.call('ZSCORE', P .. 'dead', run) then return 'duplicate' end
  return let_in(run, ...)
end

-- A run that was pulled out enters again, `more` attempts later; `h` is what `pull` gave.
local function enter_again(run, h, more, records)
  h = sound(h)
  local key, limit = slot_parts(h[7])
  return enter(run, int(tonumber(h[1]) + more), h[4], h[5], h[6], h[8], key, limit, 'wait', records, h[2], h[3])
end

-- A pause is '<until ms, 0 for ever> <json>'. One that has run out counts no more; promote removes it. One without a time
-- counts: nobody but an operator ends it.
local function paused(field)
  local value = redis.call('HGET', P .. 'ctl', field)
  if not value then return false end
  local till = tonumber(string.match(value, '^%d+') or '0')
  return till == 0 or till * 1000 > now_us()
end

-- Whether a value of ctl is that pause; who ends it has changed its time only.
local function is_pause(value, json) return string.match(value, '^%S* (.*)$') == json end

-- Runs of a paused job that a worker met wait in wait:pause/<job>; this puts them back, in order. Returns how many.
local function unpark(job, limit)
  local moved = 0
  local popped = redis.call('ZPOPMIN', P .. 'wait:pause/' .. job, limit)
  for n = 1, #popped, 2 do
    if push_held(popped[n]) then moved = moved + 1 end
  end
  return moved
end
