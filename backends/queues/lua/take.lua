#!lua
-- Hand attempts to a worker. ARGV: worker, count, epoch to set if there is none.
-- Returns {epoch, paused 0|1, wake ids, entries}; an entry is {place, entry id, fields}. A run that crashed before comes
-- alone. Runs of a paused job are parked in wait:pause/<job>.
local worker, count = ARGV[1], tonumber(ARGV[2])
redis.call('SET', P .. 'epoch', ARGV[3], 'NX')
local epoch = redis.call('GET', P .. 'epoch')

local held_jobs = nil
if redis.call('HLEN', P .. 'ctl') > 0 then
  if paused('pause') then return { epoch, 1, {}, {} } end
  for _, field in ipairs(redis.call('HKEYS', P .. 'ctl')) do
    if string.sub(field, 1, 9) == 'pausejob:' and paused(field) then
      held_jobs = held_jobs or {}
      held_jobs[string.sub(field, 10)] = true
    end
  end
end

local function read(place, n)
  local key = P .. 'ready:' .. place
  local got = redis.pcall('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', n, 'STREAMS', key, '>')
  if got and got.err then
    if not string.find(got.err, 'NOGROUP') then return got end
    redis.call('XGROUP', 'CREATE', key, GROUP, '0', 'MKSTREAM')
    got = redis.call('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', n, 'STREAMS', key, '>')
  end
  return got and got[1][2] or {}
end

local function park(place, sid, v)
  local e = named(sid, v)
  remove_entry(place, sid)
  local key = 'pause/' .. e.j
  hold(e.i, e.a, e.f, e.k, e.p, e.j, e.e, e.c)
  line_up(key, e.i)
  redis.call('HSET', P .. 'live', e.i, 'w' .. key)
end

local taken = {}
for _, place in ipairs(PLACES) do
  for _ = 1, 5 do
    if count <= 0 then break end
    local asked = place == 'solo' and 1 or count
    local got = read(place, asked)
    if got.err then return got end
    for _, e in ipairs(got) do
      if held_jobs and held_jobs[e[2][12]] then
        park(place, e[1], e[2])
      else
        taken[#taken + 1] = { place, e[1], e[2] }
        count = count - 1
      end
    end
    if place == 'solo' and #taken > 0 then return { epoch, 0, {}, taken } end
    if not held_jobs or #got < asked then break end
  end
end

local wake = {}
if #taken == 0 then
  for _, place in ipairs(PLACES) do
    local info = redis.pcall('XINFO', 'STREAM', P .. 'ready:' .. place)
    if info.err then wake[#wake + 1] = '0-0' end -- nobody has read or written it yet
    for n = 1, #info, 2 do
      if info[n] == 'last-generated-id' then wake[#wake + 1] = info[n + 1] end
    end
  end
end
return { epoch, 0, wake, taken }
