#!lua
-- Move runs that are due from later to ready. ARGV: limit. Returns {moved, ms of the next due run or ''}.
local due = redis.call('ZRANGE', P .. 'later', '-inf', int(now_us() / 1000), 'BYSCORE', 'LIMIT', 0, ARGV[1])
for _, run in ipairs(due) do
  redis.call('ZREM', P .. 'later', run)
  push_held(run)
end
return { #due, redis.call('ZRANGE', P .. 'later', 0, 0, 'WITHSCORES')[2] or '' }
