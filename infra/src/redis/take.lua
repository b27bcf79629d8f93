-- Buckets (GCRA), read and changed in one step: one after the other, up to the first that refuses.
--
-- KEYS[i]      when the bucket is full again: microseconds since 1970, absent when it is full
-- ARGV[2i-1]   microseconds from empty to full
-- ARGV[2i]     microseconds the wanted units take to refill; below zero to give them back
-- Returns      for each bucket that was asked: whether taken (1 or 0), and microseconds until full as it is now
--
-- Time is this server's, the one clock all replicas share. All numbers are whole and below 2^53, where
-- doubles are exact.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answer = {}

for i, key in ipairs(KEYS) do
  local capacity = tonumber(ARGV[2 * i - 1])
  local wanted = tonumber(ARGV[2 * i])

  -- A full or unreadable bucket is `now`. Never later than `now + capacity`: the quota may have become smaller,
  -- or the clock of the server before this one may have been fast.
  local full_at = tonumber(redis.call('GET', key) or now) or now
  if not (full_at > now) then full_at = now end
  if full_at > now + capacity then full_at = now + capacity end

  if wanted > 0 and full_at + wanted > now + capacity then
    answer[2 * i - 1] = 0
    answer[2 * i] = full_at - now
    return answer
  end
  full_at = math.max(full_at + wanted, now)
  if full_at > now then
    redis.call('SET', key, string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
  else
    redis.call('DEL', key)
  end
  answer[2 * i - 1] = 1
  answer[2 * i] = full_at - now
end
return answer
