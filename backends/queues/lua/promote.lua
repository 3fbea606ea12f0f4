#!lua
-- Move runs that are due from later to ready, and end pauses that have run out. ARGV: limit.
-- Returns {moved, ms of the next due run or ''}; call again while it moves `limit`.
local limit = tonumber(ARGV[1])
local due = redis.call('ZRANGE', P .. 'later', '-inf', int(now_us() / 1000), 'BYSCORE', 'LIMIT', 0, limit)
for _, run in ipairs(due) do
  redis.call('ZREM', P .. 'later', run)
  push_held(run)
end
local moved = #due
if redis.call('HLEN', P .. 'ctl') > 0 then
  for _, field in ipairs(redis.call('HKEYS', P .. 'ctl')) do
    if moved < limit and (field == 'pause' or string.sub(field, 1, 9) == 'pausejob:') and not paused(field) then
      local back = 0
      if field ~= 'pause' then back = unpark(string.sub(field, 10), limit - moved) end
      moved = moved + back
      -- the field goes last, so that what is parked can't be forgotten
      if moved < limit then redis.call('HDEL', P .. 'ctl', field) end
    end
  end
end
return { moved, redis.call('ZRANGE', P .. 'later', 0, 0, 'WITHSCORES')[2] or '' }
