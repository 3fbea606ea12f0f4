#!lua flags=allow-oom
-- needs: letters
-- Dead letters leave for the archive. ARGV: ms after which nothing leaves (0: always), name of the move, then 2 a letter:
-- run id, sequence. `dead:moved` says which way a letter last went, '<out|in> <move>', until whoever moves it has noted
-- that. Returns 1 or 0 a letter.
local answers, last, mark = {}, tonumber(ARGV[1]), 'out ' .. ARGV[2]
local may = last == 0 or now_us() / 1000 <= last
for n = 3, #ARGV, 2 do
  local run, seq, done = ARGV[n], ARGV[n + 1], 0
  if may and sequence_of(run) == seq then
    lift(run, seq, head_of(seq).group)
    redis.call('UNLINK', record_key(seq))
    redis.call('HSET', P .. 'dead:moved', seq, mark)
    redis.call('HINCRBY', P .. 'dead:spilled', 'count', 1)
    if tonumber(redis.call('HGET', P .. 'dead:spilled', 'top') or '0') < tonumber(seq) then
      redis.call('HSET', P .. 'dead:spilled', 'top', seq)
    end
    done = 1
  end
  answers[#answers + 1] = done
end
return answers
