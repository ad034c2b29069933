-- Make claimed jobs runnable again at a time (0: now); those whose lease is lost are passed over.
-- ARGV: time, ids and leases, the time to run at, failures to count, the error or ''.

local ids, holds = current_holds(ARGV[2])
local error = ARGV[5] ~= '' and ARGV[5] or nil
for i, id in ipairs(ids) do
  if holds[i] then give_back(id, entry_of(id), holds[i], tonumber(ARGV[3]), tonumber(ARGV[4]), error) end
end
finish()
return 1
