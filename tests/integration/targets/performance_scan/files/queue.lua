-- Copyright: the runbook.ops authors
-- SPDX-License-Identifier: GPL-3.0-or-later
-- A queue as BullMQ 5 keeps it: forty jobs that are done, each added 10 s before it was taken and worked on for 2 s, ten of them
-- only after ten minutes; two that failed, three that wait.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local key = 'bull:mails'
redis.call('HSET', key .. ':meta', 'opts.maxLenEvents', '10000')
for number = 1, 42 do
  local job = key .. ':' .. number
  local finished = now - (43 - number) * 1000
  local added = finished - (number <= 10 and 600000 or 12000)
  redis.call('HSET', job, 'name', 'mail', 'data', '{"to":"alice@example.com"}', 'opts', '{"attempts":1}', 'timestamp', added,
    'processedOn', finished - 2000, 'finishedOn', finished)
  redis.call('ZADD', key .. (number > 40 and ':failed' or ':completed'), finished, number)
  redis.call('XADD', key .. ':events', '*', 'event', number > 40 and 'failed' or 'completed', 'jobId', number)
end
for number = 43, 45 do
  redis.call('HSET', key .. ':' .. number, 'name', 'mail', 'data', '{}', 'opts', '{}', 'timestamp', now - 5000)
  redis.call('LPUSH', key .. ':wait', number)
end
redis.call('SET', key .. ':id', 45)
return 'OK'
