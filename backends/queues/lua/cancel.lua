#!lua flags=allow-oom
-- needs: letters, operations
-- ARGV: by, op ('' for none), until ms, run ids… Returns one word a run: cancelled, asked, unknown.
-- With an operation, a run that had not started is kept in its trash, so that it can come back.
local by, op = ARGV[1], ARGV[2]
local answers, records = {}, {}
for n = 4, #ARGV do
  local word, h = cancel_run(ARGV[n], by, records)
  if h and op ~= '' and may_act(op, 'cancel') then
    redis.call('ZADD', trash_key(op), redis.call('ZCARD', trash_key(op)) + 1, ARGV[n])
    redis.call('HSET', trash_key(op) .. ':held', ARGV[n], cmsgpack.pack(h))
    note_op(op, 'cancel', by, ARGV[3])
  end
  answers[#answers + 1] = word
end
publish(records)
return answers
