#!lua flags=no-writes
-- A page of what lies in the queue, without the envelopes. ARGV: state, where, after, count (at most 200), way: 'down', or
-- 'up' for the reverse of the order told here.
--   ready    where: a place      after: an entry id, '' for the first     in the order in which they are taken
--   running  as ready
--   later    where: ''           after: '<due ms> <run id>' or ''         soonest first
--   waiting  where: a wait key   after: '<score> <run id>' or ''          next to get the slot first
-- Returns rows of 9: {what `after` takes to go on behind it, run id, attempt, crashes, priority, job, slot, beginning of
-- the payload, rest}; the rest is '' for ready, '<engine> <idle ms>' for running, due ms for later, '' for waiting.
local state, where, after, count, up = ARGV[1], ARGV[2], ARGV[3], math.min(tonumber(ARGV[4]), 200), ARGV[5] == 'up'
local HEAD, SHOWN = 2000, 160
local rows = {}

local function payload(env)
  local head = string.sub(env, 1, HEAD)
  local _, at = string.find(head, '"payload"%s*:%s*')
  return at and string.sub(head, at + 1, at + SHOWN) or ''
end

local function add(cursor, run, a, k, p, job, slot, env, rest)
  rows[#rows + 1] = { cursor, run, tostring(a), tostring(k), tostring(p), job, slot, payload(env), rest }
end

local function last_delivered(key)
  local groups = redis.pcall('XINFO', 'GROUPS', key)
  if groups.err or not groups[1] then return nil end
  for n = 1, #groups[1], 2 do
    if groups[1][n] == 'last-delivered-id' then return groups[1][n + 1] end
  end
end

local function later_than(a, b)
  local a1, a2 = string.match(a, '(%d+)-(%d+)')
  local b1, b2 = string.match(b, '(%d+)-(%d+)')
  if a1 ~= b1 then return tonumber(a1) > tonumber(b1) end
  return tonumber(a2) > tonumber(b2)
end

local function ready()
  local key = P .. 'ready:' .. where
  local taken = last_delivered(key)
  local from = taken and '(' .. taken or '-'
  local found
  if up then
    found = redis.call('XREVRANGE', key, after == '' and '+' or '(' .. after, from, 'COUNT', count)
  else
    if after ~= '' and not (taken and later_than(taken, after)) then from = '(' .. after end
    found = redis.call('XRANGE', key, from, '+', 'COUNT', count)
  end
  for _, e in ipairs(found) do
    local v = named(e[1], e[2])
    add(e[1], v.i, v.a, v.k, v.p, v.j, v.c, v.e, '')
  end
end

local function at_work(e, pending)
  add(pending[1], e.i, e.a, e.k, e.p, e.j, e.c, e.e, pending[2] .. ' ' .. int(pending[3]))
end

local function running()
  local key = P .. 'ready:' .. where
  local found = redis.pcall('XPENDING', key, GROUP, after == '' and '-' or '(' .. after, '+', count)
  if found.err then return end
  for _, x in ipairs(found) do
    local e = entry(where, x[1])
    if e then at_work(e, x) end
  end
end

-- What is pending can't be asked for from its end. But what was delivered and is over is deleted, so all of the stream up
-- to there is pending.
local function running_up()
  local key = P .. 'ready:' .. where
  local taken = last_delivered(key)
  if not taken then return end
  local to = after ~= '' and not later_than(after, taken) and '(' .. after or taken
  for _, e in ipairs(redis.call('XREVRANGE', key, to, '-', 'COUNT', count)) do
    local pending = redis.call('XPENDING', key, GROUP, e[1], e[1], 1)[1]
    if pending then at_work(named(e[1], e[2]), pending) end
  end
end

-- The first and the last rank of the page. Where what `after` names has left since, all that has its score comes behind it
-- on either way, so that nothing that is there is passed over.
local function ranks(key)
  if after == '' then return up and -count or 0, up and -1 or count - 1 end
  local score, run = string.match(after, '^(%S+) (.*)$')
  local rank = redis.call('ZRANK', key, run)
  if up then
    rank = rank or redis.call('ZCOUNT', key, '-inf', score)
    if rank == 0 then return 1, 0 end
    return math.max(rank - count, 0), rank - 1
  end
  rank = rank and rank + 1 or redis.call('ZCOUNT', key, '-inf', '(' .. score)
  return rank, rank + count - 1
end

local function held(key, with_due)
  local from, to = ranks(key)
  local found = redis.call('ZRANGE', key, from, to, 'WITHSCORES')
  local first, last, step = 1, #found - 1, 2
  if up then first, last, step = last, first, -step end
  for n = first, last, step do
    local run, score = found[n], int(tonumber(found[n + 1]))
    local packed = redis.call('HGET', P .. 'held', run)
    if packed then
      local h = unpacked(packed)
      add(score .. ' ' .. run, run, h[1], h[3], h[4], h[5], h[7], h[6], with_due and score or '')
    end
  end
end

if state == 'ready' then ready()
elseif state == 'running' then (up and running_up or running)()
elseif state == 'later' then held(P .. 'later', true)
else held(P .. 'wait:' .. where, false) end
return rows
