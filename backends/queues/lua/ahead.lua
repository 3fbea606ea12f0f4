#!lua flags=no-writes
-- How many entries that nobody has taken yet lie before a ready one. ARGV: its place, its entry id, places that are
-- served before (at most the count that is asked for, the last argument).
-- Entries are handed out in order: what lies behind the last delivered id is still there to be taken.
local MOST = tonumber(ARGV[#ARGV])
local function waiting(place, low, high)
  return #redis.call('XRANGE', P .. 'ready:' .. place, low, high, 'COUNT', MOST)
end
local function last_delivered(place)
  local groups = redis.pcall('XINFO', 'GROUPS', P .. 'ready:' .. place)
  if groups.err or not groups[1] then return '-' end
  for n = 1, #groups[1], 2 do
    if groups[1][n] == 'last-delivered-id' then return '(' .. groups[1][n + 1] end
  end
  return '-'
end
local ahead = waiting(ARGV[1], last_delivered(ARGV[1]), '(' .. ARGV[2])
for n = 3, #ARGV - 1 do
  if ahead >= MOST then break end
  ahead = ahead + waiting(ARGV[n], last_delivered(ARGV[n]), '+')
end
return math.min(ahead, MOST)
