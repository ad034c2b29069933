-- Jobs of a queue, the newest first: id, state, deliveries, end of the lease and entry of each in turn.
-- ARGV: time, queue, the state, how many, before which id.

-- Those that wait for a time or are claimed are kept by that time: so many are looked at.
local LOOKED_AT = 10000
local queue, state, limit, before = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local ids = {}

if state == 'ready' then
  ids = call('ZREVRANGEBYSCORE', ready_of(queue), before, '-inf', 'LIMIT', 0, limit)
else
  local set = state == 'delayed' and delayed_of(queue) or claimed_of(queue)
  local last = before == '+inf' and math.huge or tonumber(string.sub(before, 2))
  for _, id in ipairs(call('ZRANGE', set, 0, LOOKED_AT - 1)) do
    if tonumber(id) < last then ids[#ids + 1] = id end
  end
  table.sort(ids, function(a, b) return tonumber(a) > tonumber(b) end)
end

local answer = {}
for i = 1, math.min(limit, #ids) do
  local hold, at = call('HGET', HELD, ids[i]), #answer
  local held = hold and cmsgpack.unpack(hold) or {0, 0, 0}
  answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = tonumber(ids[i]), state, held[DELIVERIES], held[UNTIL]
  answer[at + 5] = call('HGET', JOB, ids[i])
end
return answer
