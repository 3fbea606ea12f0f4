#!lua flags=allow-oom
-- needs: letters, operations
-- Dead letters go into the trash of an operation. ARGV: op, by, until ms, then 2 a letter: run id, sequence.
-- Returns 1 or 0 a letter.
local letters, answers = asked_for(4, 2)
if #letters == 0 or not may_act(ARGV[1], 'purge') then return answers end
letters = whole(P .. 'dead', letters)
if #letters == 0 then return answers end
for _, letter in ipairs(letters) do answers[letter.n] = 1 end
throw_away(ARGV[1], letters)
note_op(ARGV[1], 'purge', ARGV[2], ARGV[3])
return answers
