-- Give back what a claim took whose answer nobody heard.
-- ARGV: time, queue, the lease, its end.

local queue, lease, until_ms = ARGV[2], tonumber(ARGV[3]), ARGV[4]
for _, id in ipairs(call('ZRANGEBYSCORE', claimed_of(queue), until_ms, until_ms)) do
  local hold = cmsgpack.unpack(call('HGET', HELD, id))
  if hold[LEASE] == lease then give_back(id, entry_of(id), hold, 0, 0, nil) end
end
finish()
return 1
