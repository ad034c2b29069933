-- Dead letters, the newest first: id, letter and payload of each in turn. ARGV: time, queue or '', how many, before which id.

local all = ARGV[2] == '' and P .. 'dead-all' or P .. 'dead-of:' .. ARGV[2]
local answer = {}
for _, id in ipairs(call('ZREVRANGEBYSCORE', all, ARGV[4], '-inf', 'LIMIT', 0, tonumber(ARGV[3]))) do
  local at = #answer
  answer[at + 1], answer[at + 2] = tonumber(id), call('HGET', P .. 'dead', id)
  answer[at + 3] = call('HGET', P .. 'dead-payload', id)
end
return answer
