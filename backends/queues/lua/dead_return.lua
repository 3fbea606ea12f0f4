#!lua
-- needs: letters
-- Dead letters come back from the archive, with the sequence they had. ARGV: ms after which nothing comes back (0: always),
-- name of the move, then 3 a letter: run id, sequence, record. Returns 1 or 0 a letter; 0 where another move has brought
-- it back, or its run has come alive or died again.
local answers, last, mark = {}, tonumber(ARGV[1]), 'in ' .. ARGV[2]
local may = last == 0 or now_us() / 1000 <= last

local function come_back(run, seq, record)
  local moved = redis.call('HGET', P .. 'dead:moved', seq)
  if moved == mark then return 1 end
  if not may or (moved and string.sub(moved, 1, 3) == 'in ') or redis.call('EXISTS', record_key(seq)) == 1
    or redis.call('HEXISTS', P .. 'live', run) == 1 or sequence_of(run) then return 0 end
  redis.call('SET', record_key(seq), record)
  lay(run, seq, head_of(seq))
  redis.call('HSET', P .. 'dead:moved', seq, mark)
  if redis.call('HINCRBY', P .. 'dead:spilled', 'count', -1) <= 0 then redis.call('DEL', P .. 'dead:spilled') end
  return 1
end

for n = 3, #ARGV, 3 do answers[#answers + 1] = come_back(ARGV[n], ARGV[n + 1], ARGV[n + 2]) end
return answers
