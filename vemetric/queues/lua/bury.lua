-- Move claimed jobs to the dead letters; those whose lease is lost are passed over. ARGV: time, ids and leases, the error.

local ids, holds = current_holds(ARGV[2])
for i, id in ipairs(ids) do
  if holds[i] then
    local entry = entry_of(id)
    local dead = string.format('%.0f', call('INCR', P .. 'last-dead-id'))
    local letter = {entry[QUEUE], entry[KEY], entry[LANE], entry[AFTER], entry[PUT_AT], now, holds[i][DELIVERIES],
      entry[FAILURES] + 1, ARGV[3]}
    call('HSET', P .. 'dead', dead, cmsgpack.pack(letter))
    call('HSET', P .. 'dead-payload', dead, call('HGET', PAYLOAD, id))
    call('ZADD', P .. 'dead-all', dead, dead)
    call('ZADD', P .. 'dead-of:' .. entry[QUEUE], dead, dead)
    remove(id, entry)
  end
end
finish()
return 1
