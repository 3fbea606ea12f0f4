#!lua
-- Decide planned instants of schedules, each once in all schedulers: compare-and-set on the mark of its schedule.
-- ARGV, 12 a fire: mark's field, job, mark expected ('' for none), planned ms, scheduler, run id, priority, envelope,
-- due ms, slot key, slots, on_full.
-- Returns 3 values a fire: {word, mark, reason}: ready, later, waiting, duplicate (it fired), skipped, paused, conflict
-- with the mark that stands, or early: this server's clock has not reached the instant (a second's difference is
-- allowed), so that a scheduler whose clock is ahead fires nothing before its time.
local answers, records = {}, {}
local horizon = now_us() / 1000 + 1000

local function answer(word, mark, reason)
  answers[#answers + 1] = word
  answers[#answers + 1] = mark
  answers[#answers + 1] = reason or ''
end

local function why_skipped(key)
  local holder = redis.call('ZRANGE', P .. 'slot:' .. key, 0, 0)[1]
  return 'overlap: run ' .. (holder or 'before it') .. ' is not finished'
end

local function why_paused(field)
  local ok, pause = pcall(cjson.decode, string.match(redis.call('HGET', P .. 'ctl', field), '^%d+ (.*)$'))
  if not ok or type(pause) ~= 'table' then return 'paused' end
  local by, note = tostring(pause.by or ''), tostring(pause.note or '')
  return 'paused' .. (by ~= '' and ' by ' .. by or '') .. (note ~= '' and ': ' .. note or '')
end

local function decide(field, job, expected, planned, scheduler, run, prio, env, due, key, slots, on_full)
  local mark = redis.call('HGET', P .. 'marks', field) or ''
  if mark ~= expected then return answer('conflict', mark) end
  if tonumber(planned) > horizon then return answer('early', mark) end
  redis.call('HSET', P .. 'marks', field, planned)
  local word, result, reason = 'paused', 'skipped', ''
  if paused('pausejob:' .. job) then
    reason = why_paused('pausejob:' .. job)
  else
    word = enter(run, '1', prio, job, env, due, key, slots, on_full, records)
    if word == 'skipped' then reason = why_skipped(key) else result = 'fired' end
  end
  local more = result == 'fired' and ',"run_id":' .. cjson.encode(run) or ',"reason":' .. cjson.encode(reason)
  records[#records + 1] = '{"t":"fire","job":' .. cjson.encode(job) .. ',"planned_ms":' .. planned .. ',"result":"' .. result
    .. '","decided_ms":' .. int(now_us() / 1000) .. ',"scheduler":' .. cjson.encode(scheduler) .. more .. '}'
  answer(word, planned, reason)
end

for n = 1, #ARGV, 12 do
  decide(ARGV[n], ARGV[n + 1], ARGV[n + 2], ARGV[n + 3], ARGV[n + 4], ARGV[n + 5], ARGV[n + 6], ARGV[n + 7], ARGV[n + 8],
    ARGV[n + 9], ARGV[n + 10], ARGV[n + 11])
end
publish(records)
return answers
