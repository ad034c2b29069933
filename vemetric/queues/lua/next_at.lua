-- When a job of the queue can run: 0 for now, -1 if nothing but a write can make one runnable. ARGV: time, queue.

if is_paused(ARGV[2]) then return -1 end
if call('ZCARD', ready_of(ARGV[2])) > 0 then return 0 end
local earliest = -1
for _, due in ipairs({delayed_of(ARGV[2]), claimed_of(ARGV[2])}) do
  local at = tonumber(call('ZRANGE', due, 0, 0, 'WITHSCORES')[2])
  if at and (earliest < 0 or at < earliest) then earliest = at end
end
return earliest
