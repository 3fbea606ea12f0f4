#!lua
-- Runs enter the queue. ARGV, 9 a run: run id, priority, job, due ms, slot key, slots, on_full, envelope, attempt
-- Returns one word a run: ready, later, waiting, skipped, duplicate.
local answers, records = {}, {}
for n = 1, #ARGV, 9 do
  answers[#answers + 1] = enter(ARGV[n], ARGV[n + 8], ARGV[n + 1], ARGV[n + 2], ARGV[n + 7], ARGV[n + 3],
    ARGV[n + 4], ARGV[n + 5], ARGV[n + 6], records)
end
publish(records)
return answers
