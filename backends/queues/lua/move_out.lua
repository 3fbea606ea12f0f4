#!lua
-- Runs that have not started leave for another queue. ARGV: that queue, run ids. Returns a word a run: ok, running, unknown,
-- together (it shares a slot with runs that are not asked for, or run: a slot is one queue's, so elsewhere it would overlap
-- them).
-- Until the other queue has it, a run is in `moving`: '<left, microseconds> <queue>\n<packed entry>'.
local target, answers, leaving, keys = ARGV[1], {}, {}, {}

local function asked_to_stop(run) return redis.call('HEXISTS', P .. 'ctl', 'cancel:' .. run) == 1 end

-- The key of the slot that a run has or waits for; nil for none, and for a run that has started.
local function slot_key(run)
  local where, slot = redis.call('HGET', P .. 'live', run) or 'm', ''
  local place, sid = string.match(where, '^r(%w+):(.+)$')
  if place then
    local e = not is_pending(place, sid) and entry(place, sid)
    slot = e and e.c or ''
  elseif string.find(where, '^[lw]') then
    local packed = redis.call('HGET', P .. 'held', run)
    slot = packed and unpacked(packed)[7] or ''
  end
  local key = slot_parts(slot)
  return key ~= '' and key or nil
end

for n = 2, #ARGV do
  local key = not keys[ARGV[n]] and not asked_to_stop(ARGV[n]) and slot_key(ARGV[n])
  if key then
    keys[ARGV[n]] = key
    leaving[key] = (leaving[key] or 0) + 1
  end
end
for key, count in pairs(leaving) do
  leaving[key] = redis.call('ZCARD', P .. 'slot:' .. key) + redis.call('ZCARD', P .. 'wait:' .. key) <= count
end

local gone = {}
for n = 2, #ARGV do
  local run = ARGV[n]
  local h, word = nil, 'running' -- so is one that was asked to stop, and goes on before its engine knows
  if keys[run] and not leaving[keys[run]] then
    word = 'together'
  elseif not asked_to_stop(run) then
    h, word = pull(run)
  end
  if h then
    redis.call('HSET', P .. 'moving', run, int(now_us()) .. ' ' .. target .. '\n' .. cmsgpack.pack(h))
    redis.call('HSET', P .. 'live', run, 'm' .. target)
    gone[#gone + 1] = { h[7], run }
  end
  answers[#answers + 1] = h and 'ok' or ((word == 'running' or word == 'together') and word or 'unknown')
end
for _, each in ipairs(gone) do release(each[1], each[2]) end
return answers
