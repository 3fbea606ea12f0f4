#!lua
-- needs: letters, operations
-- Edit and replay: a letter leaves the dead ones and a new run, with another envelope, enters in its place.
-- ARGV: op, by, until ms, run id, sequence, then the new run: run id, priority, job, due ms, slot key, slots, envelope.
-- Returns 'ok', 'gone' (it is not dead any more), 'changed' (it died again since), 'duplicate' (there is such a new run).
local op, by, until_ms, run, seq = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local now, records = sequence_of(run), {}
if not now or not may_act(op, 'retry') then return 'gone' end
if now ~= seq then return 'changed' end
local letters = whole(P .. 'dead', { { run = run, seq = seq } })
if #letters == 0 then return 'gone' end
local word = enter(ARGV[6], '1', ARGV[7], ARGV[8], ARGV[12], ARGV[9], ARGV[10], ARGV[11], 'wait', records)
if word == 'duplicate' then return word end
throw_away(op, letters)
redis.call('HSET', trash_key(op) .. ':as', run, ARGV[6])
note_op(op, 'retry', by, until_ms)
publish(records)
return 'ok'
