#!lua
-- The marks of schedules that a scheduler takes over. ARGV: now in ms, then 3 values a schedule: job, rule (its expression
-- and zone), mark known from elsewhere ('' for none). Returns the marks.
-- A schedule seen first begins at the known mark, or now. One whose rule was changed begins now: what the new rule would
-- have fired earlier was never planned.
local marks = {}
for n = 2, #ARGV, 3 do
  local job, rule, known = ARGV[n], ARGV[n + 1], ARGV[n + 2]
  local mark = redis.call('HGET', P .. 'marks', job)
  local old = redis.call('HGET', P .. 'rules', job)
  if not mark then
    mark = known ~= '' and known or ARGV[1]
    redis.call('HSET', P .. 'marks', job, mark)
  elseif old and old ~= rule and tonumber(mark) < tonumber(ARGV[1]) then
    mark = ARGV[1]
    redis.call('HSET', P .. 'marks', job, mark)
  end
  if old ~= rule then redis.call('HSET', P .. 'rules', job, rule) end
  marks[#marks + 1] = mark
end
return marks
