#!lua
-- End a pause. ARGV: field of ctl, job whose parked runs go back ('' for none), limit.
-- Returns {1 if there was a pause, runs put back}; call again while it puts runs back.
local was = redis.call('HDEL', P .. 'ctl', ARGV[1])
return { was, ARGV[2] ~= '' and unpark(ARGV[2], ARGV[3]) or 0 }
