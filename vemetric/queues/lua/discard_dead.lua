-- Remove dead letters and count each; answers the ids of those that there were.
-- ARGV: time, then of each its id and counter ('': none).

local removed = {}
for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  local packed = call('HGET', P .. 'dead', id)
  if packed then
    call('HDEL', P .. 'dead', id)
    call('HDEL', P .. 'dead-payload', id)
    call('ZREM', P .. 'dead-all', id)
    call('ZREM', P .. 'dead-of:' .. cmsgpack.unpack(packed)[1], id)
    if ARGV[i + 1] ~= '' then call('HINCRBY', COUNTERS, ARGV[i + 1], 1) end
    removed[#removed + 1] = tonumber(id)
  end
end
return removed
