#!lua
-- needs: letters, operations
-- Runs enter the queue by an operation, which can take them out again. ARGV: op, by, until ms, then as enqueue.
-- Returns one word a run.
local op, by, until_ms = ARGV[1], ARGV[2], ARGV[3]
local answers, records, trash = {}, {}, trash_key(op)
local may, entered = may_act(op, 'enter'), redis.call('ZCARD', trash)
for n = 4, #ARGV, 9 do
  local word = 'skipped'
  if may then
    word = enter(ARGV[n], ARGV[n + 8], ARGV[n + 1], ARGV[n + 2], ARGV[n + 7], ARGV[n + 3], ARGV[n + 4], ARGV[n + 5],
      ARGV[n + 6], records)
    if word ~= 'skipped' and word ~= 'duplicate' then
      entered = entered + 1
      redis.call('ZADD', trash, entered, ARGV[n])
    end
  end
  answers[#answers + 1] = word
end
if entered > 0 and may then note_op(op, 'enter', by, until_ms) end
publish(records)
return answers
