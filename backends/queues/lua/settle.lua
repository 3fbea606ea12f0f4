#!lua flags=allow-oom
-- needs: letters
-- End attempts. It must work when the server is full: nothing else frees memory.
-- ARGV: epoch the attempts were taken in, n done, then n × {place, entry id, run id, slot, record},
--       then × {place, entry id, run id, slot, record, to, due ms, failures, crashes, header} for the rest.
-- The fence: only an entry that is still pending (XACK answers 1) is ended. Otherwise the answer is 'stale', or 'orphan'
-- when the data was flushed meanwhile: then the outcome is recorded all the same.
local epoch, n_done = ARGV[1], tonumber(ARGV[2])
local answers, records, gone = {}, {}, {}
local removed = {}
for _, place in ipairs(PLACES) do removed[place] = {} end
local same_epoch = redis.call('GET', P .. 'epoch') == epoch
local flags = redis.call('HLEN', P .. 'ctl') > 0

local function fenced(place, sid, record)
  local acked = redis.pcall('XACK', P .. 'ready:' .. place, GROUP, sid)
  if acked == 1 then
    if record ~= '' then records[#records + 1] = record end
    answers[#answers + 1] = 'ok'
    return true
  end
  if same_epoch or record == '' then
    answers[#answers + 1] = 'stale'
  else
    records[#records + 1] = string.sub(record, 1, -2) .. ',"orphan":true}'
    answers[#answers + 1] = 'orphan'
  end
  return false
end

-- First all is fenced and what counts is in the outbox: whatever comes then, that is not lost.
local at, rest, ended = 3, 3 + 5 * n_done, {}
for _ = 1, n_done do
  local place, sid, run, record = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 4]
  if fenced(place, sid, record) then
    local list = removed[place]
    list[#list + 1] = sid
    gone[#gone + 1] = run
    ended[#ended + 1] = at
  end
  at = at + 5
end
while at <= #ARGV do
  if fenced(ARGV[at], ARGV[at + 1], ARGV[at + 4]) then ended[#ended + 1] = at end
  at = at + 10
end
publish(records)

for place, ids in pairs(removed) do
  if #ids > 0 then redis.call('XDEL', P .. 'ready:' .. place, unpack(ids)) end
end
if #gone > 0 then redis.call('HDEL', P .. 'live', unpack(gone)) end

local function free(run, slot)
  release(slot, run)
  if flags then redis.call('HDEL', P .. 'ctl', 'cancel:' .. run) end
end

for _, n in ipairs(ended) do
  local place, sid, run, slot = ARGV[n], ARGV[n + 1], ARGV[n + 2], ARGV[n + 3]
  if n < rest then
    free(run, slot)
  else
    local to, due, failures, crashes, header = ARGV[n + 5], number(ARGV[n + 6], '0'), ARGV[n + 7], ARGV[n + 8], ARGV[n + 9]
    -- an entry that somebody has deleted while it ran: without its envelope, the next attempt is refused and tells of it
    local e = entry(place, sid) or named(sid, { [16] = slot })
    redis.call('XDEL', P .. 'ready:' .. place, sid)
    if to == 'back' then
      push(run, e.a, e.f, e.k, e.p, e.j, e.e, e.c, place)
    elseif to == 'retry' then
      local a = int(tonumber(e.a) + 1)
      if tonumber(due) * 1000 > now_us() then
        hold(run, a, failures, crashes, e.p, e.j, e.e, e.c)
        redis.call('ZADD', P .. 'later', due, run)
        redis.call('HSET', P .. 'live', run, 'l')
      else
        push(run, a, failures, crashes, e.p, e.j, e.e, e.c)
      end
    else
      redis.call('HDEL', P .. 'live', run)
      bury(run, header, e.e, now_us(), e)
      free(run, slot)
    end
  end
end
return answers
