#!lua
-- needs: letters
-- Dead letters come back from the archive, with the sequence they had. ARGV: ms after which nothing comes back (0: always),
-- name of the move, then 3 a letter: run id, sequence, record. Returns 1 or 0 a letter; 0 where another move has brought
-- it back, or its run has come alive or died again.
local last, mark, answers, runs, sequences = tonumber(ARGV[1]), 'in ' .. ARGV[2], {}, {}, {}
local may = last == 0 or now_us() / 1000 <= last
for n = 3, #ARGV, 3 do
  runs[#runs + 1] = ARGV[n]
  sequences[#sequences + 1] = ARGV[n + 1]
end
if #runs == 0 then return answers end
local live, dead = redis.call('HMGET', P .. 'live', unpack(runs)), sequences_of(runs)
local marks, back, moved = redis.call('HMGET', P .. 'dead:moved', unpack(sequences)), {}, {}
for n, run in ipairs(runs) do
  local seq, came = sequences[n], marks[n] and string.sub(marks[n], 1, 3) == 'in '
  answers[n] = marks[n] == mark and 1 or 0
  -- a record of that sequence has an owner already
  if may and not came and not live[n] and not dead[n] and redis.call('SET', record_key(seq), ARGV[3 * n + 2], 'NX') then
    back[#back + 1] = { run = run, seq = seq, group = group_of(seq) }
    moved[#moved + 1] = seq
    moved[#moved + 1] = mark
    answers[n] = 1
  end
end
if #back == 0 then return answers end
lay(back)
redis.call('HSET', P .. 'dead:moved', unpack(moved))
if redis.call('HINCRBY', P .. 'dead:spilled', 'count', -#back) <= 0 then redis.call('DEL', P .. 'dead:spilled') end
return answers
