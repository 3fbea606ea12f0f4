#!lua flags=allow-oom
-- Somebody drives an operation from now on, if nobody else came first. KEYS: the operations of a namespace. ARGV: op, who was
-- seen to drive it, who does now. Returns 1 or 0.
if (redis.call('HGET', KEYS[1] .. ':driver', ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1] .. ':driver', ARGV[1], ARGV[3])
return 1
