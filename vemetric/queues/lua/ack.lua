-- Remove jobs that are done and apply a write. 0 and nothing done if any lease is not current, else 1.
-- ARGV: time, ids and leases, the write.

local ids, _, all = current_holds(ARGV[2])
if not all then return 0 end
local packed = chunked('HMGET', JOB, ids)
for i, id in ipairs(ids) do remove(id, cmsgpack.unpack(packed[i])) end
apply(cmsgpack.unpack(ARGV[3]), 4)
finish()
return 1
