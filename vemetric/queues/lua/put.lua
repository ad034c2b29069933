-- Apply writes, each as a whole or, past the bound of jobs, not at all: answers 1 for each that was refused, else 0.
-- ARGV: time, caller and number (see answered_before), the bound, the writes (see apply).

local before = answered_before()
if before then return before end

local jobs_max = tonumber(ARGV[4])
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
note_answer(refused)
-- More than were set, or keys would expire faster than they are deleted.
purge(PURGE_KEYS + 2 * values_set)
finish()
return refused
