-- Set each key that does not exist or has expired, one after the other: 1 for each that was set, else 0.
-- ARGV: time, caller and number (see answered_before), then name, value as stored and expires of each.

local before = answered_before()
if before then return before end

local answers = {}
for at = 4, #ARGV, 3 do
  if call('HEXISTS', VALUES, ARGV[at]) == 1 and not is_expired(ARGV[at]) then
    answers[#answers + 1] = 0
  else
    set_value(ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]))
    answers[#answers + 1] = 1
  end
end
note_answer(answers)
return answers
