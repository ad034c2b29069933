-- Live keys in order: name and value as stored in turn. ARGV: time, the first name, the end, how many.

local from, answer, limit = ARGV[2], {}, tonumber(ARGV[4])
while #answer < 2 * limit do
  local names = call('ZRANGEBYLEX', NAMES, from, ARGV[3], 'LIMIT', 0, CHUNK)
  if #names == 0 then break end
  local values = call('HMGET', VALUES, unpack(names))
  for i, name in ipairs(names) do
    if values[i] and not is_expired(name) and #answer < 2 * limit then
      answer[#answer + 1] = name
      answer[#answer + 1] = values[i]
    end
  end
  from = '(' .. names[#names]
end
return answer
