#!lua flags=allow-oom
-- Write how far an operation is, unless somebody else drives it by now. KEYS: the operations of a namespace. ARGV: op, who
-- drives it, its record ('' to forget it), until ms, 1 when it is over. Returns {1 if it was written, what somebody wants of it}.
local op, driver, record, until_ms, over = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
local asked = redis.call('HGET', P .. ':asked', op) or ''
if (redis.call('HGET', P .. ':driver', op) or '') ~= driver then return { 0, asked } end
if record == '' then
  for _, part in ipairs({ '', ':asked', ':marked', ':driver' }) do redis.call('HDEL', P .. part, op) end
  for _, part in ipairs({ ':at', ':until' }) do redis.call('ZREM', P .. part, op) end
else
  redis.call('HSET', P, op, record)
  redis.call('ZADD', P .. ':until', until_ms, op)
end
if over then
  redis.call('SREM', P .. ':open', op)
  redis.call('HDEL', P .. ':marked', op)
end
return { 1, asked }
