#!lua flags=allow-oom
-- Somebody drives an operation from now on, if nobody else came first. KEYS: the operations of a namespace. ARGV: op, who was
-- seen to drive it, who does now, what that one wants of it ('' for nothing new): at once, so that nobody takes it for left.
-- Returns 1 or 0.
if (redis.call('HGET', P .. ':driver', ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', P .. ':driver', ARGV[1], ARGV[3])
if ARGV[4] ~= '' then
  redis.call('HSET', P .. ':asked', ARGV[1], ARGV[4])
  redis.call('SADD', P .. ':open', ARGV[1])
end
return 1
