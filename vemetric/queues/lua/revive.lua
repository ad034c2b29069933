-- Put dead letters back at the end of the line; answers how many. ARGV: time, their ids.

local revived = 0
for i = 2, #ARGV do
  local id = ARGV[i]
  local packed = call('HGET', P .. 'dead', id)
  if packed then
    local letter = cmsgpack.unpack(packed)
    local payload = call('HGET', P .. 'dead-payload', id)
    local entry = {letter[1], letter[2], letter[3], letter[4], 0, letter[5], 0, #payload, ''}
    if insert(entry, payload, letter[7]) then
      call('HDEL', P .. 'dead', id)
      call('HDEL', P .. 'dead-payload', id)
      call('ZREM', P .. 'dead-all', id)
      call('ZREM', P .. 'dead-of:' .. letter[1], id)
      revived = revived + 1
    end
  end
end
finish()
return revived
