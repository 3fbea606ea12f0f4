-- Dead letters. A record is '<header JSON>\n<envelope as it came>' under its sequence, which is unique in the queue and
-- rises; a letter is known by the pair (run id, sequence). `dead` orders them by sequence, `dead:index` by group and
-- sequence; `dead:groups` counts them and `dead:kinds` says what a group is.
local HEAD_BYTES, HEAD_MOST = 2048, 65536

local function record_key(seq) return P .. 'dead:#' .. seq end

local function index_member(fp, seq, run) return string.format('%s:%016.0f:%s', fp, tonumber(seq), run) end

-- The header of a record and not an envelope that may be a megabyte; nil where there is no such record.
local function head_of(seq)
  for _, bytes in ipairs({ HEAD_BYTES, HEAD_MOST }) do
    local text = redis.call('GETRANGE', record_key(seq), 0, bytes - 1)
    local cut = string.find(text, '\n', 1, true)
    if cut then return cjson.decode(string.sub(text, 1, cut - 1)) end
  end
end

-- A letter goes into the indexes; its record is there already.
local function lay(run, seq, head)
  redis.call('ZADD', P .. 'dead', seq, run)
  redis.call('ZADD', P .. 'dead:index', 0, index_member(head.group, seq, run))
  if redis.call('HINCRBY', P .. 'dead:groups', head.group, 1) == 1 then
    redis.call('HSET', P .. 'dead:kinds', head.group, cjson.encode({ job = head.job, error_class = head.error_class }))
  end
end

-- A letter leaves the indexes; its record stays.
local function lift(run, seq, fp)
  redis.call('ZREM', P .. 'dead', run)
  redis.call('ZREM', P .. 'dead:index', index_member(fp, seq, run))
  if redis.call('HINCRBY', P .. 'dead:groups', fp, -1) <= 0 then
    redis.call('HDEL', P .. 'dead:groups', fp)
    redis.call('HDEL', P .. 'dead:kinds', fp)
  end
end

-- The sequence of a dead run as text, nil where it is not dead. A server may write a score as 1.7e+15.
local function sequence_of(run)
  local score = redis.call('ZSCORE', P .. 'dead', run)
  return score and int(tonumber(score)) or nil
end

local function bury(run, header, env, at_us)
  local last = tonumber(redis.call('GET', P .. 'dead:seq') or '0')
  local seq = int(math.max(at_us, last + 1))
  redis.call('SET', P .. 'dead:seq', seq)
  local before = sequence_of(run)
  if before then -- its id was given to another run
    lift(run, before, head_of(before).group)
    redis.call('DEL', record_key(before))
  end
  redis.call('SET', record_key(seq), header .. '\n' .. env)
  lay(run, seq, cjson.decode(header))
end
