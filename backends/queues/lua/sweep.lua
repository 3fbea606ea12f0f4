#!lua flags=allow-oom
-- needs: letters, operations
-- One step of forgetting operations whose time is over, and moves that arrived a day ago. ARGV: now in ms, limit.
-- Returns how much was done, 0 for nothing.
local limit, DAY = tonumber(ARGV[2]), 86400000
for _, op in ipairs(redis.call('ZRANGE', P .. 'ops', '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, limit)) do
  if redis.call('HEXISTS', P .. 'ops:restoring', op) == 0 then
    local trash, what = trash_key(op), what_is(op)
    local found = redis.call('ZRANGE', trash, 0, limit - 1, 'WITHSCORES')
    if not what.gone then end_op(op, what) end
    for n = 1, #found, 2 do
      local run, seq = found[n], int(tonumber(found[n + 1]))
      local letters = what.kind == 'purge' or what.kind == 'retry'
      if letters and sequence_of(run) ~= seq then redis.call('UNLINK', record_key(seq)) end
      redis.call('ZREM', trash, run)
    end
    if #found < 2 * limit then
      redis.call('ZREM', P .. 'ops', op)
      redis.call('HDEL', P .. 'ops:what', op)
    end
    return #found / 2 + 1
  end
end
local old = redis.call('ZRANGE', P .. 'arrived', '-inf', int(tonumber(ARGV[1]) - DAY), 'BYSCORE', 'LIMIT', 0, limit)
if #old > 0 then redis.call('ZREM', P .. 'arrived', unpack(old)) end
return #old
