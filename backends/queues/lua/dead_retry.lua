#!lua
-- needs: letters
-- Dead letters go back to ready with a fresh retry budget. ARGV, 2 a letter: run id, sequence. Returns 1 or 0 a letter.
-- The attempt number goes on rising: (run id, attempt) is the key of history.
local answers, records = {}, {}
for n = 1, #ARGV, 2 do
  local run, seq = ARGV[n], ARGV[n + 1]
  local done = 0
  if sequence_of(run) == seq then
    local packed = redis.call('GET', record_key(seq))
    local cut = string.find(packed, '\n', 1, true)
    local h = cjson.decode(string.sub(packed, 1, cut - 1))
    local key, limit = '', '1'
    if h.slot and h.slot ~= '' then key, limit = string.match(h.slot, '^(.*)|(%d+)$') end
    local word = enter(run, int(h.attempts + 1), int(h.priority or 1), h.job, string.sub(packed, cut + 1), '0', key, limit,
      'wait', records)
    if word ~= 'duplicate' then
      lift(run, seq, h.group)
      redis.call('DEL', record_key(seq))
      done = 1
    end
  end
  answers[#answers + 1] = done
end
publish(records)
return answers
