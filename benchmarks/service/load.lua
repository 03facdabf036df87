-- One fixed request, so that no Lua runs per request. Arguments: a file with the body, the path, "Name=Value" headers.
local function read(path)
  local file = assert(io.open(path, "rb"))
  local data = file:read("*a")
  file:close()
  return data
end

function init(args)
  wrk.method = "POST"
  wrk.body = read(args[1])
  wrk.path = args[2]
  for i = 3, #args do
    local name, value = args[i]:match("^(.-)=(.*)$")
    wrk.headers[name] = value
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"mean_ms":%.4f,"p50_ms":%.4f,"p99_ms":%.4f,"statuses":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency.mean / 1e3, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
