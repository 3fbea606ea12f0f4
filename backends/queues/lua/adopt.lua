#!lua
-- The marks of schedules that a scheduler takes over. ARGV: now in ms, then 4 values a schedule: job, rule (its expression
-- and zone), mark known from elsewhere ('' for none: another queue that the job was in, or history) and the rule it stood
-- under ('' if that is not known). Returns the marks.
-- The newest mark counts, so that no instant is fired twice. A schedule seen first begins now. One whose rule was changed
-- begins now: what the new rule would have fired earlier was never planned.
local marks = {}
local now = tonumber(ARGV[1])
for n = 2, #ARGV, 4 do
  local job, rule, known = ARGV[n], ARGV[n + 1], tonumber(ARGV[n + 2])
  local was = redis.call('HGET', P .. 'marks', job)
  local mark, old = tonumber(was or ''), redis.call('HGET', P .. 'rules', job)
  local ruled = old
  if known and known > (mark or 0) then
    mark = known
    if ARGV[n + 3] ~= '' then ruled = ARGV[n + 3] end
  end
  mark = mark or now
  if ruled and ruled ~= rule and mark < now then mark = now end
  local text = string.format('%.0f', mark)
  if text ~= was then redis.call('HSET', P .. 'marks', job, text) end
  if old ~= rule then redis.call('HSET', P .. 'rules', job, rule) end
  marks[#marks + 1] = text
end
return marks
