#!lua
-- End a pause. ARGV: field of ctl, job whose parked runs go back ('' for none), limit, the pause that is meant ('' for any).
-- Returns {1 if there was a pause, runs put back}; call again while it puts `limit` back.
-- The pause has run out at once; its field goes when all is back, so that what is parked can't be forgotten: should nobody
-- call again, promote goes on.
local value = redis.call('HGET', P .. 'ctl', ARGV[1])
if ARGV[4] ~= '' and not (value and is_pause(value, ARGV[4])) then return { 0, 0 } end
local back = 0
if ARGV[2] ~= '' then
  if value then redis.call('HSET', P .. 'ctl', ARGV[1], (string.gsub(value, '^%d+', '1'))) end
  back = unpark(ARGV[2], ARGV[3])
end
if value and back < tonumber(ARGV[3]) then redis.call('HDEL', P .. 'ctl', ARGV[1]) end
return { value and 1 or 0, back }
