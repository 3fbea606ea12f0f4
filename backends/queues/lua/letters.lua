-- Dead letters. A record is '<header JSON>\n<envelope as it came>' under its sequence, which is unique in the queue and
-- rises; a letter is known by the pair (run id, sequence). `dead` orders them by sequence, `dead:index` by group and
-- sequence; `dead:groups` counts them and `dead:kinds` says what a group is.
-- Here a letter is a table {run, seq, group}; many go through one command, for the commands are what costs.
local HEAD_BYTES, HEAD_MOST = 2048, 65536
-- The group of letters whose header names none that could stand in an index.
local UNREADABLE = 'unreadable'

local function record_key(seq) return P .. 'dead:#' .. seq end

local function index_member(letter)
  return letter.group .. ':' .. string.rep('0', 16 - #letter.seq) .. letter.seq .. ':' .. letter.run
end

-- The header line of a record and not an envelope that may be a megabyte; nil where there is no such record. A header
-- may be long: an error of 4 kB takes up to six times as many bytes in JSON. Without a line's end all of it is the header.
local function head_line(seq)
  local there
  for _, last in ipairs({ HEAD_BYTES - 1, HEAD_MOST - 1, -1 }) do
    there = redis.call('GETRANGE', record_key(seq), 0, last)
    local cut = string.find(there, '\n', 1, true)
    if cut then return string.sub(there, 1, cut - 1) end
    if last >= #there then break end
  end
  return there ~= '' and there or nil
end

local function as_group(found) return #found <= 64 and string.match(found, '^[%w_.-]+$') or UNREADABLE end

-- What a header says, whoever has written it: each part is what it should be, or what stands for it. And whether it says
-- all of that itself.
local function read_head(line)
  local ok, h = pcall(cjson.decode, line)
  if not ok or type(h) ~= 'table' then h = {} end
  local head = {
    job = text(h.job, '?'), attempts = tonumber(number(h.attempts, '1')), priority = tonumber(number(h.priority, '1')),
    error_class = text(h.error_class, '?'), error = text(h.error, ''), slot = text(h.slot, ''),
    failed_ms = tonumber(number(h.failed_ms, '0')), group = as_group(text(h.group, '')), worker = text(h.worker, ''),
  }
  local whole = head.group == h.group and not string.find(line, '\n', 1, true)
  for _, name in ipairs({ 'job', 'attempts', 'error_class', 'error', 'failed_ms' }) do
    whole = whole and head[name] == h[name]
  end
  return head, whole
end

local function head_of(seq)
  local line = head_line(seq)
  return line and (read_head(line))
end

-- A header is flat, and within its texts a quote is escaped: so this is found where it is meant, without decoding it all.
local function group_in_head(line)
  local found = string.match(line, '"group":"([^"\\]*)"')
  return found and as_group(found) or read_head(line).group
end

local function group_of(seq)
  local line = head_line(seq)
  return line and group_in_head(line)
end

-- The group of errors whose text tells no causes apart (backends/fingerprint.py).
local function group_without_text(job, error_class)
  return string.sub(redis.sha1hex(job .. '\0' .. error_class .. '\0'), 1, 16)
end

-- `e`: attempts, priority, job and slot, as an entry has them.
local function head_text(e, error_class, error_text, at_us, worker)
  return '{"job":' .. cjson.encode(e.j) .. ',"attempts":' .. e.a .. ',"priority":' .. e.p .. ',"slot":' .. cjson.encode(e.c)
    .. ',"error_class":"' .. error_class .. '","error":' .. cjson.encode(error_text) .. ',"failed_ms":' .. int(at_us / 1000)
    .. ',"group":"' .. group_without_text(e.j, error_class) .. '","worker":' .. cjson.encode(worker) .. '}'
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
      local head = head_of(first[group]) or read_head('')
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

-- The group under which a letter is listed: its header tells it. Where that is gone, or was overwritten, the index does, if
-- it has few enough groups to try all.
local GROUPS_TRIED = 200
local function group_in(index, letter)
  local group = letter.group or group_of(letter.seq)
  local names = { group }
  if redis.call('HLEN', index .. ':groups') <= GROUPS_TRIED then
    for _, name in ipairs(redis.call('HKEYS', index .. ':groups')) do names[#names + 1] = name end
  end
  for _, name in ipairs(names) do
    local member = index_member({ run = letter.run, seq = letter.seq, group = name })
    if redis.call('ZSCORE', index .. ':index', member) then return name end
  end
  return group
end

-- The same for many letters, whose groups by their headers are known. At most 200. A trash may have no index.
local function as_listed(index, letters)
  local members = index_members(letters)
  if #members == 0 or redis.call('EXISTS', index .. ':index') == 0 then return end
  local n = 0
  local scores = redis.call('ZMSCORE', index .. ':index', unpack(members))
  for _, letter in ipairs(letters) do
    if letter.group then
      n = n + 1
      if not scores[n] then letter.group = group_in(index, letter) end
    end
  end
end

-- Letters whose records are there, with their groups. One whose record is gone (who deletes keys by hand?) is none: it
-- leaves the indexes, and the others go on. At most 200.
local function whole(index, letters)
  local found, gone = {}, {}
  for _, letter in ipairs(letters) do
    letter.group = group_of(letter.seq)
    local list = letter.group and found or gone
    list[#list + 1] = letter
  end
  for _, letter in ipairs(gone) do letter.group = group_in(index, letter) end
  lift_from(index, gone)
  as_listed(index, found)
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

-- A header that could not be read again is kept as the error of one that can. `e`: as for `head_text`.
local function bury(run, header, env, at_us, e)
  local head, whole = read_head(header)
  if not whole then
    local shown = string.gsub(string.sub(header, 1, 500), '[^\32-\126]', '?')
    header = head_text(e, 'BadHeader', 'what it died of is not readable: ' .. shown, at_us, '')
    head = read_head(header)
  end
  local last = tonumber(redis.call('GET', P .. 'dead:seq') or '0') or 0
  local seq = int(math.max(at_us, last + 1))
  redis.call('SET', P .. 'dead:seq', seq)
  local before = sequence_of(run)
  if before then -- its id was given to another run
    lift({ { run = run, seq = before, group = group_in(P .. 'dead', { run = run, seq = before }) } })
    redis.call('DEL', record_key(before))
  end
  redis.call('SET', record_key(seq), header .. '\n' .. env)
  lay({ { run = run, seq = seq, group = head.group } })
end
