-- Prolong leases. 0 and nothing done if any is not current, else 1. ARGV: time, ids and leases, the new end.

local ids, holds, all = current_holds(ARGV[2])
if not all then return 0 end
local until_ms = tonumber(ARGV[3])
local packed = chunked('HMGET', JOB, ids)
for i, id in ipairs(ids) do
  call('HSET', HELD, id, cmsgpack.pack({holds[i][DELIVERIES], holds[i][LEASE], until_ms}))
  call('ZADD', claimed_of(cmsgpack.unpack(packed[i])[QUEUE]), until_ms, id)
end
return 1
