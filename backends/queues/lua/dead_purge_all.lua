#!lua flags=allow-oom
-- needs: letters, operations
-- All dead letters up to a sequence go into the trash of a new operation, at once: the indexes are renamed. The
-- first of those above it go back here, the rest in steps (`restore`). ARGV: op, by, until ms, sequence, limit.
-- Returns 1 if there is a rest.
local op, by, until_ms, upto = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local trash = trash_key(op)
if not what_is(op) and redis.call('EXISTS', P .. 'dead') == 1 then
  note_op(op, 'purge', by, until_ms)
  for _, name in ipairs(INDEXES) do rename(P .. 'dead' .. name, trash .. name) end
  local above = letters_of(
    redis.call('ZRANGE', trash, '+inf', '(' .. upto, 'BYSCORE', 'REV', 'LIMIT', 0, ARGV[5], 'WITHSCORES'))
  above = whole(trash, above)
  untrash(op, above)
  lay(above)
  if redis.call('ZCOUNT', trash, '(' .. upto, '+inf') > 0 then redis.call('HSET', P .. 'ops:restoring', op, upto) end
end
return redis.call('HGET', P .. 'ops:restoring', op) == upto and 1 or 0 -- its own rest, not an undo that has begun
