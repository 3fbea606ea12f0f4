#!lua flags=no-writes
-- Counts for one line on a screen.
-- Returns {ready, running, later, waiting, dead, outbox, ms of the oldest ready entry or '', consumers with work, pause or ''}
local ready, running, consumers, oldest = 0, 0, 0, ''
for _, place in ipairs(PLACES) do
  local key = P .. 'ready:' .. place
  local length = redis.call('XLEN', key)
  local last, pending = '0', 0
  local groups = redis.pcall('XINFO', 'GROUPS', key)
  if not groups.err and groups[1] then
    local g = {}
    for n = 1, #groups[1], 2 do g[groups[1][n]] = groups[1][n + 1] end
    last, pending = g['last-delivered-id'], g.pending
    consumers = math.max(consumers, g.consumers)
  end
  ready = ready + length - pending
  running = running + pending
  if length > pending then
    local first = redis.call('XRANGE', key, '(' .. last, '+', 'COUNT', 1)[1]
    if first then
      local ms = string.match(first[1], '^%d+')
      if oldest == '' or tonumber(ms) < tonumber(oldest) then oldest = ms end
    end
  end
end
local dead = redis.call('ZCARD', P .. 'dead') + (tonumber(redis.call('HGET', P .. 'dead:spilled', 'count') or '0') or 0)
local later = redis.call('ZCARD', P .. 'later')
return { ready, running, later, redis.call('HLEN', P .. 'held') - later, dead,
  redis.call('XLEN', P .. 'out'), oldest, consumers, redis.call('HGET', P .. 'ctl', 'pause') or '' }
