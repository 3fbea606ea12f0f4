#!lua
-- Runs arrive from another queue. ARGV, 3 a run: run id, when it left in microseconds, packed entry.
-- `arrived` is the fence: a move (run id and when it left) arrives once, whoever carries it and however often.
-- Returns a word a run: 'ok' (it is or was here), 'duplicate' (there is another run of that id).
local answers, records = {}, {}
for n = 1, #ARGV, 3 do
  local run, word = ARGV[n], 'ok'
  local name = run .. ':' .. ARGV[n + 1]
  if not redis.call('ZSCORE', P .. 'arrived', name) then
    word = enter_again(run, unpacked(ARGV[n + 2]), 0, records)
    if word ~= 'duplicate' then
      redis.call('ZADD', P .. 'arrived', int(now_us() / 1000), name)
      word = 'ok'
    end
  end
  answers[#answers + 1] = word
end
publish(records)
return answers
