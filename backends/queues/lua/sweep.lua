#!lua flags=allow-oom
-- needs: letters, operations
-- One step of forgetting operations whose time is over, and moves that arrived a day ago. ARGV: now in ms, limit.
-- Returns how much was done, 0 for nothing.
local limit, DAY = tonumber(ARGV[2]), 86400000
for _, op in ipairs(redis.call('ZRANGE', P .. 'ops', '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, limit)) do
  if redis.call('HEXISTS', P .. 'ops:restoring', op) == 0 then
    local trash, what = trash_key(op), what_is(op)
    local letters = letters_of(redis.call('ZRANGE', trash, 0, limit - 1, 'WITHSCORES'))
    if what and not what.gone then end_op(op, what) end
    if #letters > 0 then
      local runs = runs_of(letters)
      if not what or what.kind == 'purge' or what.kind == 'retry' then
        local dead, records = sequences_of(runs), {}
        for n, letter in ipairs(letters) do
          if dead[n] ~= letter.seq then records[#records + 1] = record_key(letter.seq) end
        end
        if #records > 0 then redis.call('UNLINK', unpack(records)) end
      end
      redis.call('ZREM', trash, unpack(runs))
    end
    if #letters < limit then
      redis.call('ZREM', P .. 'ops', op)
      redis.call('HDEL', P .. 'ops:what', op)
      redis.call('HDEL', P .. 'ops:told', op, op .. ':left', op .. ':work')
    end
    return #letters + 1
  end
end
local old = redis.call('ZRANGE', P .. 'arrived', '-inf', int(tonumber(ARGV[1]) - DAY), 'BYSCORE', 'LIMIT', 0, limit)
if #old > 0 then redis.call('ZREM', P .. 'arrived', unpack(old)) end
return #old
