-- Apply writes, each as a whole or, past the bound of jobs, not at all: answers 1 for each that was refused, else 0.
-- ARGV: time, the bound, the caller's name, the number of this call, the writes (see apply).
-- A caller numbers its calls; one that comes again, because its answer was lost, does nothing the second time.

local jobs_max, caller, number = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local CALLER_KEPT_MS = 7 * 86400 * 1000

local last = call('HGET', P .. 'callers', caller)
if last then
  local seen, answer = unpack(cmsgpack.unpack(last))
  if number <= seen then return answer end
end

local live = tonumber(call('GET', P .. 'live') or 0)
local refused = {}
local at = 5
while ARGV[at] do
  local write = cmsgpack.unpack(ARGV[at])
  local count = #write[1]
  if count > 0 and live + live_added + count > jobs_max then
    refused[#refused + 1] = 1
    at = at + 1 + count + #write[2]
  else
    at = apply(write, at + 1)
    refused[#refused + 1] = 0
  end
end
call('HSET', P .. 'callers', caller, cmsgpack.pack({number, refused}))
call('ZADD', P .. 'callers-seen', now, caller)
for _, gone in ipairs(call('ZRANGEBYSCORE', P .. 'callers-seen', '-inf', now - CALLER_KEPT_MS, 'LIMIT', 0, 10)) do
  call('ZREM', P .. 'callers-seen', gone)
  call('HDEL', P .. 'callers', gone)
end
-- More than were set, or keys would expire faster than they are deleted.
purge(PURGE_KEYS + 2 * values_set)
finish()
return refused
