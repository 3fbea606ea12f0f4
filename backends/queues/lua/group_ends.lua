#!lua flags=no-writes
-- needs: letters
-- The ends of groups of dead letters. ARGV: groups. Returns 4 values a group: sequence and header line of the oldest, and of
-- the newest; '' for the sequence and nil for the line where there is none.
local answers = {}
local function add(member)
  local seq = string.match(member or '', ':(%d+):') or ''
  answers[#answers + 1] = seq
  answers[#answers + 1] = seq ~= '' and head_line(int(tonumber(seq))) or false
end
for n = 1, #ARGV do
  local low, high = '[' .. ARGV[n] .. ':', '(' .. ARGV[n] .. ';'
  add(redis.call('ZRANGE', P .. 'dead:index', low, high, 'BYLEX', 'LIMIT', 0, 1)[1])
  add(redis.call('ZRANGE', P .. 'dead:index', high, low, 'BYLEX', 'REV', 'LIMIT', 0, 1)[1])
end
return answers
