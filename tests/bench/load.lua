-- Requests of many callers in rotation, for wrk. Behind `--` comes a file with one request a line: the access token, a
-- tab, the body. Callers without a token are nobody.
local requests, at = {}, 0

function init(arguments)
   for line in io.lines(arguments[1]) do
      local token, body = line:match("^(%S*)\t(.*)$")
      local headers = {
         ["Authorization"] = token ~= "" and "Bearer " .. token or nil,
         ["Content-Type"] = "application/json",
         ["Accept"] = "application/graphql-response+json",
      }
      requests[#requests + 1] = wrk.format("POST", nil, headers, body)
   end
end

function request()
   at = at % #requests + 1
   return requests[at]
end

-- One line for the program to read; it must not change its form alone.
function done(summary, latency)
   local e = summary.errors
   io.write(string.format(
      'result {"requests":%d,"bytes":%d,"duration_us":%d,"failed":%d,"p50_us":%d,"p99_us":%d}\n',
      summary.requests, summary.bytes, summary.duration,
      e.connect + e.read + e.write + e.status + e.timeout,
      latency:percentile(50), latency:percentile(99)
   ))
end
