#!lua
-- A run that has not started goes in front of all others, or from there back to the end of its priority.
-- ARGV: run id, 'front' or 'back'. In front: one that waits for a slot goes to the head of its line, one that is later is
-- due now, one that crashed an engine is first already, and alone. Returns 'ok', 'running' or 'unknown'.
local run, front = ARGV[1], ARGV[2] == 'front'
local where = redis.call('HGET', P .. 'live', run) or 'm'
local kind = string.sub(where, 1, 1)
if kind == 'm' then return 'unknown' end
if kind == 'w' and front then
  local line = P .. 'wait:' .. string.sub(where, 2)
  local first = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
  if first[1] ~= run then redis.call('ZADD', line, int(tonumber(first[2] or '0') - 1), run) end
  local h = unhold(run)
  if h then hold(run, h[1], h[2], h[3], h[4], h[5], h[6], h[7]) end
end
if kind == 'w' or (kind == 'l' and not front) then return 'ok' end
if kind == 'r' then
  local place, sid = string.match(where, '^r(%w+):(.+)$')
  if place and is_pending(place, sid) then return 'running' end
  if place == 'solo' or (place == 'front') == front then return 'ok' end
end
local asked = redis.call('HGET', P .. 'ctl', 'cancel:' .. run)
local h = pull(run)
if not h then return 'unknown' end
if asked then redis.call('HSET', P .. 'ctl', 'cancel:' .. run, asked) end
push(run, h[1], h[2], h[3], h[4], h[5], h[6], h[7], front and place_of('front', h[3]) or nil)
return 'ok'
