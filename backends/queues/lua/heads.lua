#!lua flags=no-writes
-- needs: letters
-- Header lines of records, without their envelopes. ARGV: sequences. Returns a line a sequence, nil where there is none.
local lines = {}
for n = 1, #ARGV do lines[n] = head_line(ARGV[n]) or false end
return lines
