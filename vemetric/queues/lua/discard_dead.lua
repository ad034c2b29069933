-- Remove dead letters; answers the ids of those that there were. ARGV: time, their ids.

local removed = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local packed = call('HGET', P .. 'dead', id)
  if packed then
    call('HDEL', P .. 'dead', id)
    call('HDEL', P .. 'dead-payload', id)
    call('ZREM', P .. 'dead-all', id)
    call('ZREM', P .. 'dead-of:' .. cmsgpack.unpack(packed)[1], id)
    removed[#removed + 1] = tonumber(id)
  end
end
return removed
