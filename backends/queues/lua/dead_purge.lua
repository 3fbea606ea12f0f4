#!lua flags=allow-oom
-- needs: letters, operations
-- Dead letters go into the trash of an operation. ARGV: op, by, until ms, then 2 a letter: run id, sequence.
-- Returns 1 or 0 a letter.
local op, by, until_ms = ARGV[1], ARGV[2], ARGV[3]
local answers, changed = {}, false
local may = may_act(op, 'purge')
for n = 4, #ARGV, 2 do
  local run, seq, done = ARGV[n], ARGV[n + 1], 0
  if may and sequence_of(run) == seq then
    lift(run, seq, head_of(seq).group)
    redis.call('ZADD', trash_key(op), seq, run)
    done, changed = 1, true
  end
  answers[#answers + 1] = done
end
if changed then note_op(op, 'purge', by, until_ms) end
return answers
