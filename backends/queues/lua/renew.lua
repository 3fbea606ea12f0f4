#!lua flags=allow-oom
-- Extend leases. ARGV: worker, epoch, then {place, entry id}. Returns the positions (from 0) of those it no longer has.
-- After a flush nothing is reported lost: those attempts run to their end and settle as orphans.
local worker = ARGV[1]
if redis.call('GET', P .. 'epoch') ~= ARGV[2] then return {} end
local lost = {}
for n = 3, #ARGV, 2 do
  -- XCLAIM without FORCE ignores an entry that is not pending; a reaped run has a new entry, so none is ever stolen.
  local key, sid = P .. 'ready:' .. ARGV[n], ARGV[n + 1]
  local held = redis.pcall('XPENDING', key, GROUP, sid, sid, 1)
  local p = not held.err and held[1]
  -- The count of deliveries is 1 and the milliseconds from delivery to here: so reap knows since when it ran.
  local claimed = p and redis.pcall('XCLAIM', key, GROUP, worker, 0, sid, 'IDLE', 0, 'RETRYCOUNT', p[4] + p[3], 'JUSTID')
  if not claimed or claimed.err or #claimed == 0 then lost[#lost + 1] = (n - 3) / 2 end
end
return lost
