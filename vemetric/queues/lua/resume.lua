-- Let a queue be claimed again. ARGV: time, queue.

if call('SREM', P .. 'paused', ARGV[2]) == 1 then to_wake[ARGV[2]] = true end
finish()
return 1
