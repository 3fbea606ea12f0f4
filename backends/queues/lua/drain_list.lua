#!lua
-- needs: letters
-- Move entries from the head of a plain list into the queue. KEYS[2]: the list.
-- ARGV, 7 an entry: the raw entry as it was peeked, run id, priority, job, word ('run' or 'dead'), and for the dead:
-- header, record
-- Stops at the first entry that is no longer the list's head (another engine was faster). Returns how many were moved.
local moved, records = 0, {}
for n = 1, #ARGV, 7 do
  local raw = ARGV[n]
  if redis.call('LINDEX', KEYS[2], 0) ~= raw then break end
  redis.call('LPOP', KEYS[2])
  if ARGV[n + 4] == 'run' then
    enter(ARGV[n + 1], '1', ARGV[n + 2], ARGV[n + 3], raw, '0', '', '1', 'wait', records)
  else
    bury(ARGV[n + 1], ARGV[n + 5], raw, now_us(), { a = '1', p = '1', j = ARGV[n + 3], c = '' })
    records[#records + 1] = ARGV[n + 6]
  end
  moved = moved + 1
end
publish(records)
return moved
