#!lua flags=allow-oom
-- Letters of the archive were taken away there, or are back. ARGV: change of their number, highest sequence, and the
-- operation that does that ('' once nothing is left of it), with the time its undo ends, ms.
local key, trashed = P .. 'dead:spilled', P .. 'dead:trashed'
if redis.call('HINCRBY', key, 'count', ARGV[1]) <= 0 then
  redis.call('DEL', key)
elseif (tonumber(redis.call('HGET', key, 'top') or '0') or 0) < tonumber(ARGV[2]) then
  redis.call('HSET', key, 'top', ARGV[2])
end
if ARGV[3] ~= '' then
  redis.call('ZADD', trashed, 'GT', ARGV[4], ARGV[3])
  redis.call('ZREMRANGEBYSCORE', trashed, '-inf', int(now_us() / 1000))
end
return 1
