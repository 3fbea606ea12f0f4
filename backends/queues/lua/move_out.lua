#!lua
-- Runs that have not started leave for another queue. ARGV: that queue, run ids. Returns a word a run: ok, running, unknown.
-- Until the other queue has it, a run is in `moving`: '<left, microseconds> <queue>\n<packed entry>'.
local target, answers = ARGV[1], {}
for n = 2, #ARGV do
  local run = ARGV[n]
  local h, word = nil, 'running' -- so is one that was asked to stop, and goes on before its engine knows
  if redis.call('HEXISTS', P .. 'ctl', 'cancel:' .. run) == 0 then h, word = pull(run) end
  if h then
    release(h[7], run)
    redis.call('HSET', P .. 'moving', run, int(now_us()) .. ' ' .. target .. '\n' .. cmsgpack.pack(h))
    redis.call('HSET', P .. 'live', run, 'm' .. target)
  end
  answers[#answers + 1] = h and 'ok' or (word == 'running' and word or 'unknown')
end
return answers
