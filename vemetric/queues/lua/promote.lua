-- Let delayed jobs run now; answers how many were delayed. ARGV: time, their ids.

local promoted = 0
for i = 2, #ARGV do
  local id, packed = ARGV[i], call('HGET', JOB, ARGV[i])
  local entry = packed and cmsgpack.unpack(packed)
  if entry and call('ZREM', delayed_of(entry[QUEUE]), id) == 1 then
    entry[RUN_AT] = 0
    call('HSET', JOB, id, cmsgpack.pack(entry))
    settle(id, entry)
    promoted = promoted + 1
  end
end
finish()
return promoted
