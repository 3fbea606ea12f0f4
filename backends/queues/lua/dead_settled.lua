#!lua flags=allow-oom
-- The archive has noted which way letters went. ARGV: 2 a letter: sequence, the mark that is forgotten if it still stands.
for n = 1, #ARGV, 2 do
  if redis.call('HGET', P .. 'dead:moved', ARGV[n]) == ARGV[n + 1] then redis.call('HDEL', P .. 'dead:moved', ARGV[n]) end
end
return 1
