#!lua flags=allow-oom
-- needs: letters
-- Return attempts whose lease has ended. ARGV: lease ms, crashes at which a run is dead, limit, 1 to drop idle consumers.
-- A crash is not a failure: it counts in `k`. Returns how many attempts were reaped.
local lease, max_crashes, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local records, reaped = {}, 0
for _, place in ipairs(PLACES) do
  local key = P .. 'ready:' .. place
  local pending = redis.pcall('XPENDING', key, GROUP, 'IDLE', lease, '-', '+', limit)
  if not pending.err then
    for _, p in ipairs(pending) do
      local sid, consumer = p[1], p[2]
      local e = entry(place, sid)
      remove_entry(place, sid)
      if e then
        reaped = reaped + 1
        local at, run = now_us(), e.i
        local k = tonumber(e.k) + 1
        local asked = redis.call('HGET', P .. 'ctl', 'cancel:' .. run)
        local dead = k >= max_crashes
        local error_text = 'its engine ' .. consumer .. ' stopped renewing the lease'
        -- It was delivered so many milliseconds before it was last renewed (renew.lua), and is idle since then.
        local started = at - (tonumber(p[3]) + math.max(0, tonumber(p[4]) - 1)) * 1000
        local extra = origin_fields(run, e.e) .. ',"enqueued_ms":' .. string.match(sid, '^%d+')
          .. ',"started_us":' .. int(started) .. ',"worker":' .. cjson.encode(consumer) .. ((asked or dead) and envelope_field(e.e) or '')
        if asked then
          records[#records + 1] = attempt_record(run, e.a, e.j, 'cancelled', true, at, extra .. ',"by":' .. cjson.encode(asked))
        else
          records[#records + 1] = attempt_record(run, e.a, e.j, 'lost', dead, at, extra
            .. ',"error_class":"WorkerLost","error":' .. cjson.encode(error_text)
            .. ',"fingerprint":"' .. group_without_text(e.j, 'WorkerLost') .. '"')
          if dead then
            local crash = ' (crash ' .. int(k) .. ' of ' .. int(max_crashes) .. ')'
            bury(run, head_text(e, 'WorkerLost', error_text .. crash, at, consumer), e.e, at, e)
          end
        end
        if asked or dead then
          redis.call('HDEL', P .. 'live', run)
          redis.call('HDEL', P .. 'ctl', 'cancel:' .. run)
          release(e.c, run)
        else
          push(run, int(tonumber(e.a) + 1), e.f, int(k), e.p, e.j, e.e, e.c)
        end
      end
    end
    if ARGV[4] == '1' then
      for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', key, GROUP)) do
        local f = {}
        for n = 1, #c, 2 do f[c[n]] = c[n + 1] end
        if f.pending == 0 and f.idle > 600000 then redis.call('XGROUP', 'DELCONSUMER', key, GROUP, f.name) end
      end
    end
  end
end
publish(records)
return reaped
