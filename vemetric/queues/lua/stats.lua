-- For each queue: name, ready, delayed, claimed, dead, and when the oldest that could run was put (-1: there is none).

local LOOKED_AT = 1000
local answer = {}

local function oldest(queue)
  local ids = call('ZRANGE', ready_of(queue), 0, 0)
  for _, due in ipairs({delayed_of(queue), claimed_of(queue)}) do
    for _, id in ipairs(call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, LOOKED_AT)) do ids[#ids + 1] = id end
  end
  local found = -1
  for _, id in ipairs(ids) do
    local put_at = entry_of(id)[PUT_AT]
    if found < 0 or put_at < found then found = put_at end
  end
  return found
end

local names = call('SMEMBERS', P .. 'queues')
table.sort(names)
for _, queue in ipairs(names) do
  local ready = call('ZCARD', ready_of(queue)) + tonumber(call('HGET', WAITING, queue) or 0)
  answer[#answer + 1] = {
    queue, ready, call('ZCARD', delayed_of(queue)), call('ZCARD', claimed_of(queue)),
    call('ZCARD', P .. 'dead-of:' .. queue), oldest(queue),
  }
end
return answer
