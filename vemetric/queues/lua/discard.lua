-- Remove jobs that nobody holds, nor has held since they were seen, and count each: id, state, deliveries, end of the
-- lease, entry and payload of each removed in turn. ARGV: time, then of each its id, deliveries and counter ('': none).

local answer = {}
for i = 2, #ARGV, 3 do
  local id, packed, hold = ARGV[i], call('HGET', JOB, ARGV[i]), call('HGET', HELD, ARGV[i])
  local entry, deliveries = packed and cmsgpack.unpack(packed), hold and cmsgpack.unpack(hold)[DELIVERIES] or 0
  if entry and deliveries == tonumber(ARGV[i + 1]) and not call('ZSCORE', claimed_of(entry[QUEUE]), id) then
    local queue, lane, at = entry[QUEUE], entry[LANE] and lane_of(entry), #answer
    answer[at + 1], answer[at + 3], answer[at + 4] = tonumber(id), deliveries, 0
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
    if ARGV[i + 2] ~= '' then call('HINCRBY', COUNTERS, ARGV[i + 2], 1) end
    if lane and not is_settled then freed_lanes[lane] = was_freed end
  end
end
finish()
return answer
