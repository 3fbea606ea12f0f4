-- Dead letters. A record is '<header JSON>\n<envelope as it came>' under its sequence, which is unique in the queue and
-- rises; a letter is known by the pair (run id, sequence). `dead` orders them by sequence, `dead:index` by group and
-- sequence; `dead:groups` counts them and `dead:kinds` says what a group is.
-- Here a letter is a table {run, seq, group}; many go through one command, for the commands are what costs.
local HEAD_BYTES, HEAD_MOST = 2048, 65536

local function record_key(seq) return P .. 'dead:#' .. seq end

local function index_member(letter)
  return letter.group .. ':' .. string.rep('0', 16 - #letter.seq) .. letter.seq .. ':' .. letter.run
end

-- The header line of a record and not an envelope that may be a megabyte; nil where there is no such record. A header
-- may be long: an error of 4 kB takes up to six times as many bytes in JSON.
local function head_line(seq)
  for _, bytes in ipairs({ HEAD_BYTES, HEAD_MOST }) do
    local text = redis.call('GETRANGE', record_key(seq), 0, bytes - 1)
    local cut = string.find(text, '\n', 1, true)
    if cut then return string.sub(text, 1, cut - 1) end
  end
end

local function head_of(seq)
  local line = head_line(seq)
  return line and cjson.decode(line)
end

-- A header is flat, and within its texts a quote is escaped: so this is found where it is meant, without decoding it all.
local function group_of(seq)
  local line = head_line(seq)
  return line and (string.match(line, '"group":"([^"\\]*)"') or cjson.decode(line).group)
end

local function each_group(letters)
  local counts = {}
  for _, letter in ipairs(letters) do
    if letter.group then counts[letter.group] = (counts[letter.group] or 0) + 1 end
  end
  return pairs(counts)
end

local function index_members(letters, before)
  local members = {}
  for _, letter in ipairs(letters) do
    if letter.group then
      if before then members[#members + 1] = before end
      members[#members + 1] = index_member(letter)
    end
  end
  return members
end

local function runs_of(letters)
  local runs = {}
  for n, letter in ipairs(letters) do runs[n] = letter.run end
  return runs
end

-- Sequence and run id of each, as ZADD takes them.
local function scored(letters)
  local args = {}
  for _, letter in ipairs(letters) do
    args[#args + 1] = letter.seq
    args[#args + 1] = letter.run
  end
  return args
end

-- Letters go into indexes (those of the dead ones, or with a prefix those of a trash); their records are there already.
-- At most 200.
local function lay_into(index, letters)
  if #letters == 0 then return end
  redis.call('ZADD', index, unpack(scored(letters)))
  redis.call('ZADD', index .. ':index', unpack(index_members(letters, 0)))
  local first = {}
  for _, letter in ipairs(letters) do first[letter.group] = letter.seq end
  for group, count in each_group(letters) do
    if redis.call('HINCRBY', index .. ':groups', group, count) == count then
      local head = head_of(first[group])
      redis.call('HSET', index .. ':kinds', group, cjson.encode({ job = head.job, error_class = head.error_class }))
    end
  end
end

local function lay(letters) lay_into(P .. 'dead', letters) end

-- The contrary: their records stay. Of one whose group is not known the index keeps its member. At most 200.
local function lift_from(index, letters)
  if #letters == 0 then return end
  redis.call('ZREM', index, unpack(runs_of(letters)))
  local members = index_members(letters)
  if #members > 0 then redis.call('ZREM', index .. ':index', unpack(members)) end
  for group, count in each_group(letters) do
    if redis.call('HINCRBY', index .. ':groups', group, -count) <= 0 then
      redis.call('HDEL', index .. ':groups', group)
      redis.call('HDEL', index .. ':kinds', group)
    end
  end
end

local function lift(letters) lift_from(P .. 'dead', letters) end

-- The group of a letter; where its record is gone, that under which it is listed, if there are few enough to try all.
local GROUPS_TRIED = 200
local function group_in(index, letter)
  local group = group_of(letter.seq)
  if group or redis.call('HLEN', index .. ':groups') > GROUPS_TRIED then return group end
  for _, name in ipairs(redis.call('HKEYS', index .. ':groups')) do
    local member = index_member({ run = letter.run, seq = letter.seq, group = name })
    if redis.call('ZSCORE', index .. ':index', member) then return name end
  end
end

-- Letters whose records are there, with their groups. One whose record is gone (who deletes keys by hand?) is none: it
-- leaves the indexes, and the others go on. At most 200.
local function whole(index, letters)
  local found, gone = {}, {}
  for _, letter in ipairs(letters) do
    letter.group = group_of(letter.seq)
    if letter.group then
      found[#found + 1] = letter
    else
      letter.group = group_in(index, letter)
      gone[#gone + 1] = letter
    end
  end
  lift_from(index, gone)
  return found
end

-- The sequences of runs as text, nil for those that are not dead. At most 200. (A server may write a score as 1.7e+15.)
local function sequences_of(runs)
  local found = {}
  if #runs == 0 then return found end
  for n, score in ipairs(redis.call('ZMSCORE', P .. 'dead', unpack(runs))) do
    if score then found[n] = int(tonumber(score)) end
  end
  return found
end

local function sequence_of(run) return sequences_of({ run })[1] end

-- The letters that ARGV asks for from `first` on, `step` values each, run id and sequence first: {those that are dead, each
-- with its place `n`}, {0 for each that is asked for}.
local function asked_for(first, step)
  local runs, letters, answers, seen = {}, {}, {}, {}
  for n = first, #ARGV, step do runs[#runs + 1] = ARGV[n] end
  local sequences = sequences_of(runs)
  for n, run in ipairs(runs) do
    local seq = ARGV[first + (n - 1) * step + 1]
    answers[n] = 0
    if sequences[n] == seq and not seen[run] then
      seen[run] = true
      letters[#letters + 1] = { run = run, seq = seq, n = n }
    end
  end
  return letters, answers
end

local function bury(run, header, env, at_us)
  local last = tonumber(redis.call('GET', P .. 'dead:seq') or '0')
  local seq = int(math.max(at_us, last + 1))
  redis.call('SET', P .. 'dead:seq', seq)
  local before = sequence_of(run)
  if before then -- its id was given to another run
    lift({ { run = run, seq = before, group = group_in(P .. 'dead', { run = run, seq = before }) } })
    redis.call('DEL', record_key(before))
  end
  redis.call('SET', record_key(seq), header .. '\n' .. env)
  lay({ { run = run, seq = seq, group = cjson.decode(header).group } })
end
