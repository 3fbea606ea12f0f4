#!lua flags=allow-oom
-- Extend leases. ARGV: worker, epoch, then {place, entry id}. Returns the positions (from 0) of those it no longer has.
-- After a flush nothing is reported lost: those attempts run to their end and settle as orphans.
local worker = ARGV[1]
if redis.call('GET', P .. 'epoch') ~= ARGV[2] then return {} end
local lost = {}
for n = 3, #ARGV, 2 do
  -- XCLAIM without FORCE ignores an entry that is not pending; a reaped run has a new entry, so none is ever stolen.
  local claimed = redis.pcall('XCLAIM', P .. 'ready:' .. ARGV[n], GROUP, worker, 0, ARGV[n + 1], 'IDLE', 0, 'JUSTID')
  if claimed.err or #claimed == 0 then lost[#lost + 1] = (n - 3) / 2 end
end
return lost
