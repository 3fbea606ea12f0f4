#!lua flags=allow-oom
-- Runs that left are forgotten, the other queue has them; or they come back, where it would not have them.
-- ARGV: 'gone' or 'back', then 2 a run: run id, when it left in microseconds. Returns how many that were.
local count, records = 0, {}
for n = 2, #ARGV, 2 do
  local run = ARGV[n]
  local moving = redis.call('HGET', P .. 'moving', run)
  if moving and string.match(moving, '^%d+') == ARGV[n + 1] then
    redis.call('HDEL', P .. 'moving', run)
    redis.call('HDEL', P .. 'live', run)
    if ARGV[1] == 'back' then
      enter_again(run, unpacked(string.match(moving, '\n(.*)$') or ''), 0, records)
    end
    count = count + 1
  end
end
publish(records)
return count
