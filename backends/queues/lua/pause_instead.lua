#!lua
-- Pause if the pause in force is the one that is known. ARGV: field of ctl, that one's JSON ('' for none), the new value.
-- Returns 1, or 0 where it is another.
local value = paused(ARGV[1]) and redis.call('HGET', P .. 'ctl', ARGV[1])
if ARGV[2] == '' then
  if value then return 0 end
elseif not (value and is_pause(value, ARGV[2])) then
  return 0
end
redis.call('HSET', P .. 'ctl', ARGV[1], ARGV[3])
return 1
