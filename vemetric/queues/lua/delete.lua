-- Delete a key; where a value is given only if it holds that value. 1 if it was there. ARGV: time, name, the value.

local stored = call('HGET', VALUES, ARGV[2])
if not stored or is_expired(ARGV[2]) then return 0 end
-- Eight bytes in front of a value say when it expires.
if ARGV[3] and string.sub(stored, 9) ~= ARGV[3] then return 0 end
drop_value(ARGV[2])
return 1
