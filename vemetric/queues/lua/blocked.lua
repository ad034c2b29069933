-- Jobs of a queue that wait for others, among some of all jobs: where to go on (0: that was all), then id, state,
-- deliveries, end of the lease and entry of each in turn. Nothing lists them, so all jobs are looked at, some at a time.
-- ARGV: time, queue, where to go on, how many are looked at.

local queue = ARGV[2]
if tonumber(call('HGET', WAITING, queue) or 0) <= 0 then return {0} end
local found = call('HSCAN', JOB, ARGV[3], 'COUNT', tonumber(ARGV[4]))
local answer, jobs = {tonumber(found[1])}, found[2]
for i = 1, #jobs, 2 do
  local id, entry = jobs[i], cmsgpack.unpack(jobs[i + 1])
  local is_of_line = entry[QUEUE] == queue and (entry[LANE] or entry[AFTER])
  if is_of_line and not (call('ZSCORE', ready_of(queue), id) or call('ZSCORE', delayed_of(queue), id)
    or call('ZSCORE', claimed_of(queue), id)) then
    local hold, at = call('HGET', HELD, id), #answer
    local deliveries = hold and cmsgpack.unpack(hold)[DELIVERIES] or 0
    answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = tonumber(id), 'blocked', deliveries, 0
    answer[at + 5] = jobs[i + 1]
  end
end
return answer
