-- Raise the count of a key, which starts anew when it has expired. ARGV: time, name, the first count as stored, expires.
-- Answers what is stored now: the expiry is that of the first count.

local held = call('HGET', VALUES, ARGV[2])
if not held or is_expired(ARGV[2]) then
  set_value(ARGV[2], ARGV[3], tonumber(ARGV[4]))
  return ARGV[3]
end
local raised = string.sub(held, 1, 8) .. string.format('%.0f', tonumber(string.sub(held, 9)) + 1)
call('HSET', VALUES, ARGV[2], raised)
return raised
