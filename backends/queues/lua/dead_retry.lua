#!lua
-- needs: letters, operations
-- Dead letters go back into the queue with a fresh retry budget; their records stay for an undo.
-- ARGV: op, by, until ms, then 3 a letter: run id, sequence, due ms (0: at once).
-- The attempt number goes on rising: (run id, attempt) is the key of history.
-- Returns 1 or 0 a letter; fewer answers than letters where these are large: call again with the rest.
local MOST_BYTES = 2000000
local op, by, until_ms = ARGV[1], ARGV[2], ARGV[3]
local answers, records, bytes, changed = {}, {}, 0, false
local may = may_act(op, 'retry')

local function retry(run, seq, due)
  if not may or sequence_of(run) ~= seq or redis.call('HEXISTS', P .. 'live', run) == 1 then return 0 end
  local packed = redis.call('GET', record_key(seq))
  bytes = bytes + #packed
  local cut = string.find(packed, '\n', 1, true)
  local h = cjson.decode(string.sub(packed, 1, cut - 1))
  local key, limit = '', '1'
  if h.slot and h.slot ~= '' then key, limit = string.match(h.slot, '^(.*)|(%d+)$') end
  lift(run, seq, h.group)
  redis.call('ZADD', trash_key(op), seq, run)
  enter(run, int(h.attempts + 1), int(h.priority or 1), h.job, string.sub(packed, cut + 1), due, key, limit, 'wait', records)
  changed = true
  return 1
end

for n = 4, #ARGV, 3 do
  answers[#answers + 1] = retry(ARGV[n], ARGV[n + 1], ARGV[n + 2])
  if bytes > MOST_BYTES then break end
end
if changed then note_op(op, 'retry', by, until_ms) end
publish(records)
return answers
