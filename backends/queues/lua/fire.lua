#!lua
-- Decide one planned instant of a job's schedule, once in all schedulers: compare-and-set on its mark.
-- ARGV: job, mark expected ('' for none), planned ms, scheduler, run id, priority, envelope, due ms, slot key, slots, on_full
-- Returns {word, mark}: ready, later, waiting, duplicate (it fired), skipped, paused, or conflict with the mark that stands.
local job, planned, run = ARGV[1], ARGV[3], ARGV[5]
local mark = redis.call('HGET', P .. 'marks', job) or ''
if mark ~= ARGV[2] then return { 'conflict', mark } end
redis.call('HSET', P .. 'marks', job, planned)
local records = {}
local word = 'paused'
if not paused('pausejob:' .. job) then
  word = enter(run, '1', ARGV[6], job, ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11], records)
end
local result, reason = 'fired', ''
if word == 'skipped' then result, reason = 'skipped', ',"reason":"overlap: an earlier run is not finished"' end
if word == 'paused' then result, reason = 'skipped', ',"reason":"the job is paused"' end
if result == 'fired' then reason = ',"run_id":' .. cjson.encode(run) end
records[#records + 1] = '{"t":"fire","job":' .. cjson.encode(job) .. ',"planned_ms":' .. planned .. ',"result":"' .. result
  .. '","decided_ms":' .. int(now_us() / 1000) .. ',"scheduler":' .. cjson.encode(ARGV[4]) .. reason .. '}'
publish(records)
return { word, planned }
