#!lua flags=no-writes
-- needs: letters
-- The ends of groups of dead letters. ARGV: groups. Returns 3 values a group: sequence of the oldest, of the newest, and the
-- newest one's header line; '' where there is none, nil for the line.
local answers = {}
for n = 1, #ARGV do
  local low, high = '[' .. ARGV[n] .. ':', '(' .. ARGV[n] .. ';'
  local first = redis.call('ZRANGE', P .. 'dead:index', low, high, 'BYLEX', 'LIMIT', 0, 1)[1] or ''
  local last = redis.call('ZRANGE', P .. 'dead:index', high, low, 'BYLEX', 'REV', 'LIMIT', 0, 1)[1] or ''
  local newest = string.match(last, ':(%d+):') or ''
  answers[#answers + 1] = string.match(first, ':(%d+):') or ''
  answers[#answers + 1] = newest
  answers[#answers + 1] = newest ~= '' and head_line(int(tonumber(newest))) or false
end
return answers
