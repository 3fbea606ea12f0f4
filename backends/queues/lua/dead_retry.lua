#!lua
-- needs: letters, operations
-- Dead letters go back into the queue with a fresh retry budget; their records stay for an undo.
-- ARGV: op, by, until ms, then 3 a letter: run id, sequence, due ms (0: at once).
-- The attempt number goes on rising: (run id, attempt) is the key of history.
-- Returns 1 or 0 a letter; fewer answers than letters where these are large: call again with the rest.
local AT_ONCE, MOST_BYTES = 10, 2000000
local op, by, until_ms = ARGV[1], ARGV[2], ARGV[3]
local letters, answers = asked_for(4, 3)
if not may_act(op, 'retry') then return answers end

local retried, gone, records, bytes = {}, {}, {}, 0
local live = #letters > 0 and redis.call('HMGET', P .. 'live', unpack(runs_of(letters)))
for first = 1, #letters, AT_ONCE do
  if bytes > MOST_BYTES then
    for n = #answers, letters[first].n, -1 do answers[n] = nil end
    break
  end
  local keys = {}
  for n = first, math.min(first + AT_ONCE - 1, #letters) do keys[#keys + 1] = record_key(letters[n].seq) end
  for n, packed in ipairs(redis.call('MGET', unpack(keys))) do
    local letter = letters[first + n - 1]
    if not packed then
      gone[#gone + 1] = letter
    elseif not live[first + n - 1] then
      bytes = bytes + #packed
      local cut = string.find(packed, '\n', 1, true) or #packed + 1
      local line = string.sub(packed, 1, cut - 1)
      letter.head, letter.env = read_head(line), string.sub(packed, cut + 1)
      letter.group, letter.due = letter.head.group, ARGV[letter.n * 3 + 3]
      retried[#retried + 1] = letter
      answers[letter.n] = 1
    end
  end
end
as_listed(P .. 'dead', retried)
whole(P .. 'dead', gone) -- of a letter without a record nothing is left to retry: it leaves the list
throw_away(op, retried)
for _, letter in ipairs(retried) do
  local h = letter.head
  local key, limit = slot_parts(h.slot)
  let_in(letter.run, int(h.attempts + 1), int(h.priority), h.job, letter.env, letter.due, key, limit, 'wait', records)
end
if #retried > 0 then note_op(op, 'retry', by, until_ms) end
publish(records)
return answers
