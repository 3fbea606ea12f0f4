#!lua flags=allow-oom
-- needs: letters
-- Dead letters leave for the archive. ARGV: ms after which nothing leaves (0: always), name of the move, then 2 a letter:
-- run id, sequence. `dead:moved` says which way a letter last went, '<out|in> <move>', until whoever moves it has noted
-- that. Returns 1 or 0 a letter.
local last, mark = tonumber(ARGV[1]), 'out ' .. ARGV[2]
local letters, answers = asked_for(3, 2)
if #letters == 0 or (last > 0 and now_us() / 1000 > last) then return answers end
letters = whole(P .. 'dead', letters)
if #letters == 0 then return answers end
local top, records, moved = tonumber(redis.call('HGET', P .. 'dead:spilled', 'top') or '0') or 0, {}, {}
for n, letter in ipairs(letters) do
  answers[letter.n] = 1
  records[n] = record_key(letter.seq)
  moved[#moved + 1] = letter.seq
  moved[#moved + 1] = mark
  top = math.max(top, tonumber(letter.seq))
end
lift(letters)
redis.call('UNLINK', unpack(records))
redis.call('HSET', P .. 'dead:moved', unpack(moved))
redis.call('HINCRBY', P .. 'dead:spilled', 'count', #letters)
redis.call('HSET', P .. 'dead:spilled', 'top', int(top))
return answers
