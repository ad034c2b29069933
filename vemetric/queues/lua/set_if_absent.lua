-- Set a key that does not exist or has expired: 1 if so, else 0. ARGV: time, name, value as stored, expires.

if call('HEXISTS', VALUES, ARGV[2]) == 1 and not is_expired(ARGV[2]) then return 0 end
set_value(ARGV[2], ARGV[3], tonumber(ARGV[4]))
return 1
