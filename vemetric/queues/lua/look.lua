-- A job: id, state, deliveries, end of the lease, entry and payload; nothing if there is none. ARGV: time, id.

local id = ARGV[2]
local packed = call('HGET', JOB, id)
if not packed then return {} end
local queue = cmsgpack.unpack(packed)[QUEUE]
local hold = call('HGET', HELD, id)
local held = hold and cmsgpack.unpack(hold) or {0, 0, 0}
local state = 'blocked'
if call('ZSCORE', claimed_of(queue), id) then state = 'claimed'
elseif call('ZSCORE', delayed_of(queue), id) then state = 'delayed'
elseif call('ZSCORE', ready_of(queue), id) then state = 'ready' end
return {tonumber(id), state, held[DELIVERIES], held[UNTIL], packed, call('HGET', PAYLOAD, id)}
