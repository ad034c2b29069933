-- Claim jobs: id, deliveries, entry and payload of each in turn, the oldest first.
-- ARGV: time, queue, how many, the lease, its end, the bytes all payloads may have, how many jobs are made ready by time.

local queue, limit, lease, until_ms = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if is_paused(queue) then return {} end
local bytes_left, due_max = tonumber(ARGV[6]), tonumber(ARGV[7])
local ready, claimed, delayed = ready_of(queue), claimed_of(queue), delayed_of(queue)

for _, id in ipairs(call('ZRANGEBYSCORE', claimed, '-inf', now, 'LIMIT', 0, due_max)) do
  give_back(id, entry_of(id), cmsgpack.unpack(call('HGET', HELD, id)), 0, 0, nil)
end
for _, id in ipairs(call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, due_max)) do
  call('ZREM', delayed, id)
  settle(id, entry_of(id))
end
-- A lane whose holder is gone must be runnable now.
finish()
live_added, to_wake, freed_lanes = 0, {}, {}

local ids, raw, entries, heads, followers = {}, {}, {}, {}, 0

-- False if it does not fit any more.
local function take(id, packed)
  local entry = cmsgpack.unpack(packed)
  if entry[SIZE] > bytes_left then return false end
  bytes_left = bytes_left - entry[SIZE]
  ids[#ids + 1], raw[id], entries[id] = id, packed, entry
  return true
end

local candidates = limit > 0 and call('ZRANGE', ready, 0, limit - 1) or {}
local packed = chunked('HMGET', JOB, candidates)
for i, id in ipairs(candidates) do
  if not take(id, packed[i]) then break end
  heads[i] = id
end

-- What follows in the lanes just claimed, up to the first that waits for something of its own.
for _, head in ipairs(heads) do
  local entry, left = entries[head], limit - #ids
  if entry[LANE] and left > 0 then
    local following = call('ZRANGEBYSCORE', lane_of(entry), '(' .. head, '+inf', 'LIMIT', 0, left)
    local more = chunked('HMGET', JOB, following)
    for i, id in ipairs(following) do
      local next_entry = cmsgpack.unpack(more[i])
      if next_entry[RUN_AT] > 0 or next_entry[AFTER] or not take(id, more[i]) then break end
      followers = followers + 1
    end
  end
end
if #ids == 0 then return {} end

table.sort(ids, function(a, b) return tonumber(a) < tonumber(b) end)
local holds, payloads = chunked('HMGET', HELD, ids), chunked('HMGET', PAYLOAD, ids)
local answer, new_holds, ends = {}, {}, {}
for i, id in ipairs(ids) do
  local deliveries = (holds[i] and cmsgpack.unpack(holds[i])[DELIVERIES] or 0) + 1
  new_holds[#new_holds + 1] = id
  new_holds[#new_holds + 1] = cmsgpack.pack({deliveries, lease, until_ms})
  ends[#ends + 1] = until_ms
  ends[#ends + 1] = id
  local at = #answer
  answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = tonumber(id), deliveries, raw[id], payloads[i]
  if entries[id][LANE] then call('HINCRBY', LANES_HELD, lane_of(entries[id]), 1) end
end
chunked('HSET', HELD, new_holds)
chunked('ZADD', claimed, ends)
chunked('ZREM', ready, heads)
if followers > 0 then call('HINCRBY', WAITING, queue, -followers) end
return answer
