#!lua
-- End a pause. ARGV: field of ctl, job whose parked runs go back ('' for none), limit.
-- Returns {1 if there was a pause, runs put back}; call again while it puts runs back.
local was = redis.call('HDEL', P .. 'ctl', ARGV[1])
local moved = 0
if ARGV[2] ~= '' then
  local popped = redis.call('ZPOPMIN', P .. 'wait:pause/' .. ARGV[2], ARGV[3])
  for n = 1, #popped, 2 do
    if push_held(popped[n]) then moved = moved + 1 end
  end
end
return { was, moved }
