#!lua flags=no-writes
-- How much has gone through the queue since it was made. Returns {entries that ever became ready, entries there now};
-- a retry and a run that was given back count again.
local added, there = 0, 0
for _, place in ipairs(PLACES) do
  local info = redis.pcall('XINFO', 'STREAM', P .. 'ready:' .. place)
  if not info.err then
    for n = 1, #info, 2 do
      if info[n] == 'entries-added' then added = added + info[n + 1] end
      if info[n] == 'length' then there = there + info[n + 1] end
    end
  end
end
return { added, there }
