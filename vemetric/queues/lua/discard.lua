-- Remove jobs that nobody holds: id, state, deliveries, end of the lease, entry and payload of each removed in turn.
-- ARGV: time, their ids.

local answer = {}
for i = 2, #ARGV do
  local id, packed = ARGV[i], call('HGET', JOB, ARGV[i])
  local entry = packed and cmsgpack.unpack(packed)
  if entry and not call('ZSCORE', claimed_of(entry[QUEUE]), id) then
    local queue, lane, at = entry[QUEUE], entry[LANE] and lane_of(entry), #answer
    local hold = call('HGET', HELD, id)
    answer[at + 1], answer[at + 3], answer[at + 4] = tonumber(id), hold and cmsgpack.unpack(hold)[DELIVERIES] or 0, 0
    answer[at + 5], answer[at + 6] = packed, call('HGET', PAYLOAD, id)

    local state = 'blocked'
    local is_settled = entry[AFTER] and call('ZREM', waiters_of(entry[AFTER]), id) == 1
    if is_settled then
      call('HINCRBY', WAITING, queue, -1)
    elseif call('ZREM', ready_of(queue), id) == 1 then
      state, is_settled = 'ready', true
    elseif call('ZREM', delayed_of(queue), id) == 1 then
      state, is_settled = 'delayed', true
    else
      call('HINCRBY', WAITING, queue, -1)
    end
    answer[at + 2] = state

    -- It is removed as if it had been claimed, so that a lane it was the first of goes on; another's goes on as it was.
    local was_freed = lane and freed_lanes[lane]
    if lane then call('HINCRBY', LANES_HELD, lane, 1) end
    remove(id, entry)
    if lane and not is_settled then freed_lanes[lane] = was_freed end
  end
end
finish()
return answer
