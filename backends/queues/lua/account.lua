#!lua
-- Record planned instants that will not run (missed while nothing was up). ARGV: job, mark expected, new mark, records…
-- Returns {'ok'|'conflict'|'early', mark}; early as in fire.
local mark = redis.call('HGET', P .. 'marks', ARGV[1]) or ''
if mark ~= ARGV[2] then return { 'conflict', mark } end
if tonumber(ARGV[3]) > now_us() / 1000 + 1000 then return { 'early', mark } end
redis.call('HSET', P .. 'marks', ARGV[1], ARGV[3])
local records = {}
for n = 4, #ARGV do records[#records + 1] = ARGV[n] end
publish(records)
return { 'ok', ARGV[3] }
