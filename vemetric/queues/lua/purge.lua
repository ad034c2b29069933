-- Delete expired keys, some at a time; answers how many. ARGV: time.

return purge(CHUNK)
