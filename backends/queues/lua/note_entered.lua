#!lua
-- needs: letters, operations
-- Runs that have entered belong to an operation, which can take them out again. ARGV: op, by, until ms, run ids in the
-- order in which they entered.
local op = ARGV[1]
if not may_act(op, 'enter') then return 0 end
local entered = redis.call('ZCARD', trash_key(op))
for n = 4, #ARGV do redis.call('ZADD', trash_key(op), 'NX', entered + n, ARGV[n]) end
note_op(op, 'enter', ARGV[2], ARGV[3])
return 1
