#!lua flags=no-writes
-- The first entries of a plain list, at most ARGV[1] of them and about ARGV[2] bytes (at least one). KEYS[2]: the list.
local found, bytes = {}, 0
for n = 0, tonumber(ARGV[1]) - 1 do
  local raw = redis.call('LINDEX', KEYS[2], n)
  if not raw then break end
  bytes = bytes + #raw
  if n > 0 and bytes > tonumber(ARGV[2]) then break end
  found[#found + 1] = raw
end
return found
