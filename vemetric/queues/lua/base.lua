-- What every script begins with. One script is one transaction: nothing else runs in between, and it checks everything
-- that can be refused before its first write. How a job is kept: docs/decisions/0005-redis.md.
--
-- KEYS[1] is the prefix with its hash tag, so that a cluster runs the script where all keys of the instance are.
-- ARGV[1] is the time in milliseconds.

local call = redis.call
local P = KEYS[1]
local now = tonumber(ARGV[1])

local JOB, PAYLOAD, HELD = P .. 'job', P .. 'payload', P .. 'held'
local WAITING, LANES_HELD = P .. 'waiting', P .. 'lanes-held'
local VALUES, EXPIRY, NAMES, COUNTERS = P .. 'values', P .. 'expiry', P .. 'names', P .. 'counters'
-- Lua takes no more than some thousand arguments to a call.
local CHUNK = 1000
local PURGE_KEYS = 20
local CALLER_KEPT_MS = 7 * 86400 * 1000

-- The places in a job's entry, which is written once and again only where a job is given back.
local QUEUE, KEY, LANE, AFTER, RUN_AT, PUT_AT, FAILURES, SIZE, ERROR = 1, 2, 3, 4, 5, 6, 7, 8, 9
-- The places in a hold: how often it was delivered, by which claim it is held (0: by none), until when.
local DELIVERIES, LEASE, UNTIL = 1, 2, 3

local live_added, values_set = 0, 0
local to_wake, freed_lanes = {}, {}

local function is_paused(queue) return call('SISMEMBER', P .. 'paused', queue) == 1 end
local function ready_of(queue) return P .. 'ready:' .. queue end
local function delayed_of(queue) return P .. 'delayed:' .. queue end
local function claimed_of(queue) return P .. 'claimed:' .. queue end
local function lane_of(entry) return P .. 'lane:' .. #entry[QUEUE] .. ':' .. entry[QUEUE] .. ':' .. entry[LANE] end
local function bearers_of(key) return P .. 'key:' .. key end
local function waiters_of(key) return P .. 'after:' .. key end

-- HMGET, HSET, ZADD, ZREM ... of any number of arguments.
local function chunked(command, key, arguments)
  local results = {}
  for first = 1, #arguments, CHUNK do
    local found = call(command, key, unpack(arguments, first, math.min(first + CHUNK - 1, #arguments)))
    if type(found) == 'table' then
      for i = 1, #found do results[first + i - 1] = found[i] end
    end
  end
  return results
end

local function entry_of(id) return cmsgpack.unpack(call('HGET', JOB, id)) end

local function make_ready(id, queue)
  local ready = ready_of(queue)
  if not to_wake[queue] and call('ZCARD', ready) == 0 then to_wake[queue] = true end
  call('ZADD', ready, id, id)
end

-- Whether a job with this key that was put before the job is still to be done.
local function is_blocked(id, key)
  return key and call('ZRANGEBYSCORE', bearers_of(key), '-inf', '(' .. id, 'LIMIT', 0, 1)[1] ~= nil
end

-- Give a job that is alone or first in its lane its place: among those that wait for a time, for a job, or for a worker.
local function settle(id, entry)
  local queue = entry[QUEUE]
  if entry[RUN_AT] > now then
    call('ZADD', delayed_of(queue), entry[RUN_AT], id)
    to_wake[queue] = true
  elseif is_blocked(id, entry[AFTER]) then
    call('ZADD', waiters_of(entry[AFTER]), id, id)
    call('HINCRBY', WAITING, queue, 1)
  else
    make_ready(id, queue)
  end
end

-- False if a job with its key is live.
local function insert(entry, payload, deliveries)
  local queue, key = entry[QUEUE], entry[KEY]
  if key and call('ZSCORE', bearers_of(key), queue) then return false end
  local id = string.format('%.0f', call('INCR', P .. 'last-id'))
  call('HSET', JOB, id, cmsgpack.pack(entry))
  call('HSET', PAYLOAD, id, payload)
  if deliveries > 0 then call('HSET', HELD, id, cmsgpack.pack({deliveries, 0, 0})) end
  if key then call('ZADD', bearers_of(key), id, queue) end
  live_added = live_added + 1
  if entry[LANE] then
    local lane = lane_of(entry)
    call('ZADD', lane, id, id)
    if call('ZCARD', lane) > 1 then
      call('HINCRBY', WAITING, queue, 1)
      return true
    end
    -- It is settled here, even where this script emptied the lane before.
    freed_lanes[lane] = nil
  end
  settle(id, entry)
  return true
end

local function leave_lane_to_others(entry)
  local lane = lane_of(entry)
  if call('HINCRBY', LANES_HELD, lane, -1) <= 0 then
    call('HDEL', LANES_HELD, lane)
    freed_lanes[lane] = true
  end
end

-- A job that is done or buried: its key is free, those that came after it may run.
local function remove(id, entry)
  call('HDEL', JOB, id)
  call('HDEL', PAYLOAD, id)
  call('HDEL', HELD, id)
  call('ZREM', claimed_of(entry[QUEUE]), id)
  live_added = live_added - 1
  local key = entry[KEY]
  if key then
    call('ZREM', bearers_of(key), entry[QUEUE])
    for _, waiter in ipairs(call('ZRANGE', waiters_of(key), 0, -1)) do
      if not is_blocked(waiter, key) then
        local queue = entry_of(waiter)[QUEUE]
        call('ZREM', waiters_of(key), waiter)
        call('HINCRBY', WAITING, queue, -1)
        make_ready(waiter, queue)
      end
    end
  end
  if entry[LANE] then
    call('ZREM', lane_of(entry), id)
    leave_lane_to_others(entry)
  end
end

-- A claimed job that is not done: it keeps its place.
local function give_back(id, entry, hold, run_at, failures, error)
  if entry[RUN_AT] ~= run_at or failures > 0 or error then
    entry[RUN_AT] = run_at
    entry[FAILURES] = entry[FAILURES] + failures
    entry[ERROR] = error or entry[ERROR]
    call('HSET', JOB, id, cmsgpack.pack(entry))
  end
  call('HSET', HELD, id, cmsgpack.pack({hold[DELIVERIES], 0, 0}))
  call('ZREM', claimed_of(entry[QUEUE]), id)
  if entry[LANE] then
    call('HINCRBY', WAITING, entry[QUEUE], 1)
    leave_lane_to_others(entry)
  else
    settle(id, entry)
  end
end

-- The holds on the jobs of ARGV[first], an array of ids and leases in turn; false where it is not current any more.
local function current_holds(packed)
  local asked = cmsgpack.unpack(packed)
  local ids = {}
  for i = 1, #asked, 2 do ids[#ids + 1] = string.format('%.0f', asked[i]) end
  local found = chunked('HMGET', HELD, ids)
  local holds, all = {}, true
  for i = 1, #ids do
    local hold = found[i] and cmsgpack.unpack(found[i])
    if hold and hold[LEASE] == asked[2 * i] and hold[UNTIL] > now then holds[i] = hold else holds[i], all = false, false end
  end
  return ids, holds, all
end

local function set_value(name, stored, expires)
  values_set = values_set + 1
  call('HSET', VALUES, name, stored)
  call('ZADD', NAMES, 0, name)
  if expires > 0 then call('ZADD', EXPIRY, expires, name) else call('ZREM', EXPIRY, name) end
end

local function is_expired(name)
  local expires = call('ZSCORE', EXPIRY, name)
  return expires and tonumber(expires) <= now
end

local function drop_value(name)
  call('ZREM', NAMES, name)
  call('ZREM', EXPIRY, name)
  return call('HDEL', VALUES, name) == 1
end

local function purge(limit)
  local names = call('ZRANGEBYSCORE', EXPIRY, '-inf', now, 'LIMIT', 0, limit)
  for _, name in ipairs(names) do drop_value(name) end
  return #names
end

-- A write is several arguments: {jobs, keys, counters}, then the jobs' payloads, then the keys' values as stored.
-- A job: {queue, key, lane, after, run_at}; a key: {name, expires}. Answers the argument after the write.
local function apply(write, at)
  for _, job in ipairs(write[1]) do
    local payload = ARGV[at]
    call('SADD', P .. 'queues', job[1])
    insert({job[1], job[2], job[3], job[4], job[5], now, 0, #payload, ''}, payload, 0)
    at = at + 1
  end
  for _, one in ipairs(write[2]) do
    set_value(one[1], ARGV[at], one[2])
    at = at + 1
  end
  for name, more in pairs(write[3]) do
    local count = redis.pcall('HINCRBY', COUNTERS, name, string.format('%.0f', more))
    if count == 0 then call('HDEL', COUNTERS, name) end
  end
  return at
end

-- ARGV[2] and ARGV[3] are the name of a caller, which numbers its calls, and the number of this one. The answer that was
-- given to it before: it comes again because that was lost, and is not done a second time. Nil for a new call.
local function answered_before()
  local last = call('HGET', P .. 'callers', ARGV[2])
  if not last then return nil end
  local seen, answer = unpack(cmsgpack.unpack(last))
  if tonumber(ARGV[3]) <= seen then return answer end
end

local function note_answer(answer)
  call('HSET', P .. 'callers', ARGV[2], cmsgpack.pack({tonumber(ARGV[3]), answer}))
  call('ZADD', P .. 'callers-seen', now, ARGV[2])
  for _, gone in ipairs(call('ZRANGEBYSCORE', P .. 'callers-seen', '-inf', now - CALLER_KEPT_MS, 'LIMIT', 0, 10)) do
    call('ZREM', P .. 'callers-seen', gone)
    call('HDEL', P .. 'callers', gone)
  end
end

-- The end of every script that writes.
local function finish()
  for lane in pairs(freed_lanes) do
    local first = call('ZRANGE', lane, 0, 0)[1]
    if first and call('HEXISTS', LANES_HELD, lane) == 0 then
      local entry = entry_of(first)
      call('HINCRBY', WAITING, entry[QUEUE], -1)
      settle(first, entry)
    end
  end
  if live_added ~= 0 then call('INCRBY', P .. 'live', live_added) end
  for queue in pairs(to_wake) do call('PUBLISH', P .. 'wake', queue) end
end
