#!lua
-- Dead letters go back to ready with a fresh retry budget. ARGV: run ids. Returns 1 or 0 a run.
-- The attempt number goes on rising: (run id, attempt) is the key of history.
local answers, records = {}, {}
for n = 1, #ARGV do
  local run = ARGV[n]
  local packed = redis.call('GET', P .. 'dead:' .. run)
  local done = 0
  if packed then
    local cut = string.find(packed, '\n', 1, true)
    local h = cjson.decode(string.sub(packed, 1, cut - 1))
    local key, limit = '', '1'
    if h.slot and h.slot ~= '' then key, limit = string.match(h.slot, '^(.*)|(%d+)$') end
    local word = enter(run, int(h.attempts + 1), int(h.priority or 1), h.job, string.sub(packed, cut + 1), '0', key, limit,
      'wait', records)
    if word ~= 'duplicate' then
      unbury(run, h.group)
      done = 1
    end
  end
  answers[n] = done
end
publish(records)
return answers
