-- What becomes of a line on its way to the store. `given` is above this: the host, its stacks' units, and unit names of
-- servers. Only the journal's own fields say where a line comes from; what a program prints never does.

-- Everything that the shipper knows itself, under a name that is put back last: a program that prints it is overwritten.
local KNOWN = "slipway:known"
local JSON = "slipway:json"
local PLAIN = "slipway:plain"

local LONGEST_MESSAGE = 65536
local LONGEST_VALUE = 8192
local LONGEST_NAME = 100
local MOST_FIELDS = 100
local DEEPEST = 4
-- More brackets than this are data and no log line; nothing here recurses that deep.
local MOST_BRACKETS = 400

-- Names that only the shipper gives. A program's own field of such a name is kept as `field.<name>`.
local RESERVED = {
  host = true, stack = true, service = true, unit = true, job = true, source = true, event = true, field = true,
  metric_unit = true, metric_event = true, metric_method = true, metric_status = true,
}
-- Fields that stay numbers. All others become text, since an index takes one type for a name.
local NUMBERS = { status = true, seconds = true, latency_ms = true, pid = true }

-- Clients make up methods and programs make up statuses, and each would be a series of its own: beyond a number of them, the
-- answer with all metrics would be refused.
local STATUSES = {}
for status in ("200 201 202 204 206 301 302 303 304 307 308 400 401 403 404 405 406 408 409 410 411 412 413 415 416 421 422 "
  .. "425 426 428 429 431 444 451 499 500 501 502 503 504 507"):gmatch("%d+") do STATUSES[tonumber(status)] = status end
local METHODS = { GET = true, HEAD = true, POST = true, PUT = true, PATCH = true, DELETE = true, OPTIONS = true }

local LEVELS = {
  emerg = "error", alert = "error", crit = "error", critical = "error", fatal = "error", panic = "error",
  err = "error", error = "error", warning = "warn", warn = "warn", notice = "info", info = "info",
  information = "info", debug = "debug", trace = "trace", verbose = "debug",
  -- pino and bunyan.
  ["10"] = "trace", ["20"] = "debug", ["30"] = "info", ["40"] = "warn", ["50"] = "error", ["60"] = "error",
}
local PRIORITIES = {
  ["0"] = "error", ["1"] = "error", ["2"] = "error", ["3"] = "error",
  ["4"] = "warn", ["5"] = "info", ["6"] = "info", ["7"] = "debug",
}

local function cut(text, longest)
  if #text <= longest then return text end
  -- Not within a character.
  local last = longest
  while last > 0 and text:byte(last + 1) >= 0x80 and text:byte(last + 1) < 0xC0 do last = last - 1 end
  return text:sub(1, last) .. "… (" .. #text .. " bytes)"
end

-- The journal has a field several times as an array.
local function one(value)
  if type(value) == "table" then value = value[1] end
  if value == nil then return nil end
  return tostring(value)
end

local function text_of(value)
  if type(value) == "number" then
    if value == math.floor(value) and math.abs(value) < 2 ^ 53 then return string.format("%d", value) end
    return string.format("%.15g", value)
  end
  return tostring(value)
end

-- A name that every store takes, and none that it uses itself.
local function name_of(name)
  name = tostring(name):gsub("[^%w_.%-]", "_"):sub(1, LONGEST_NAME)
  if name == "" or RESERVED[name] or name:find("^[_@.]") then name = "field." .. name end
  return name
end

local function put(out, name, value, depth)
  if value == nil then return end
  if type(value) == "table" and depth < DEEPEST then
    for key, inner in pairs(value) do put(out, name .. "." .. tostring(key), inner, depth + 1) end
    return
  end
  if out.count >= MOST_FIELDS then
    out.left_out = out.left_out + 1
    return
  end
  name = name_of(name)
  if NUMBERS[name] then
    if type(value) ~= "number" then
      name, value = "field." .. name, cut(text_of(value), LONGEST_VALUE)
    end
  elseif type(value) == "table" then
    value = "(nested too deep)"
  else
    value = cut(text_of(value), LONGEST_VALUE)
  end
  if value == "" then return end
  out.count = out.count + 1
  out.fields[name] = value
end

-- Transient units and sessions have a new name each time; a metric's label must not.
local function few(unit)
  if unit:find("^session%-") or unit:find("%.scope$") then return "scope" end
  if unit:find("^run%-") then return "transient" end
  return (unit:gsub("@[^.]*", "@"))
end

local function event_of(known, record, message)
  local by_kernel = record._TRANSPORT == "kernel"
  local by_systemd = one(record._PID) == "1"
  if by_kernel and message:find("Killed process", 1, true) and message:find("ut of memory", 1, true) then
    return "oom_kill"
  end
  if by_systemd and message:find("killed by the OOM killer", 1, true) then return "unit_oom_kill" end
  -- Of programs that no stack runs.
  if known.stack == nil and not by_kernel then
    if
      known.unit:find("^sshd") and (
        message:find("^Failed %a+ for ") or message:find("^Invalid user ")
        or message:find("^Connection closed by authenticating user ") or message:find("maximum authentication attempts")
      )
      or message:find("authentication failure;", 1, true)
    then
      return "auth_failure"
    end
  end
  return nil
end

-- A line of the journal: where it comes from, and its text, for the parser if it looks like JSON.
function from_journal(tag, timestamp, record)
  local unit = one(record._SYSTEMD_UNIT) or ""
  -- Each failure to send would be one more line to send. They stay in this host's journal, and metrics tell of them.
  if unit == given.own then return -1, timestamp, record end
  if record._TRANSPORT == "kernel" then unit = "kernel"
  elseif record._TRANSPORT == "audit" then unit = "audit"
  -- systemd speaks of units; nobody else is believed when it does.
  elseif one(record._PID) == "1" then unit = one(record.UNIT) or "init.scope"
  elseif unit:find("^systemd%-coredump@") then unit = one(record.COREDUMP_UNIT) or unit
  end
  local ours = given.units[unit] or {}
  local known = {
    host = given.host,
    stack = ours.stack,
    service = ours.service,
    unit = ours.stack and unit:gsub("%.service$", "") or unit,
    source = "journal",
  }
  known.job = ours.stack and "stack" or given.jobs[unit] or "systemd"
  known.metric_unit = few(known.unit)
  known.level = PRIORITIES[one(record.PRIORITY) or "6"] or "info"
  known.pid = tonumber(one(record._PID))
  local identifier = one(record.SYSLOG_IDENTIFIER)
  if identifier and identifier ~= "" and not ours.stack then known.identifier = cut(identifier, 200) end

  local message = one(record.MESSAGE) or ""
  known.metric_event = event_of(known, record, message)
  local key = PLAIN
  if ours.stack or unit == "slipway-agent.service" then
    local first = message:match("^%s*(.)")
    local _, brackets = message:gsub("[%[{]", "")
    if first == "{" and brackets <= MOST_BRACKETS then key = JSON end
  end
  return 2, timestamp, { [KNOWN] = known, [key] = message }
end

-- After the parser: the program's fields by safe names, then what is known, which wins.
local function fields_of(record)
  local known = record[KNOWN]
  -- A program may print these names as well, with anything in them.
  local message = type(record[PLAIN]) == "string" and record[PLAIN] or type(record[JSON]) == "string" and record[JSON] or nil
  local out = { fields = {}, count = 0, left_out = 0 }
  if message == nil then
    for name, value in pairs(record) do
      if (name == "message" or (name == "msg" and record.message == nil)) and type(value) ~= "table" then
        message = text_of(value)
      elseif name == "level" or name == "severity" then
        local said = text_of(type(value) == "table" and "" or value):lower()
        known.level = LEVELS[said] or known.level
      -- The journal's time counts: a program could put its lines anywhere.
      elseif name ~= KNOWN and name ~= PLAIN and name ~= JSON and name ~= "timestamp" then
        put(out, name, value, 0)
      end
    end
  end
  local fields = out.fields
  if out.left_out > 0 then fields.fields_left_out = tostring(out.left_out) end
  for name, value in pairs(known) do fields[name] = value end
  fields.event = known.metric_event
  fields.message = cut(message or "", LONGEST_MESSAGE)
  return fields
end

-- An error in here would make Fluent Bit pass on the whole batch as programs wrote it, under any stack's name.
function finish(tag, timestamp, record)
  local read, fields = pcall(fields_of, record)
  if not read then
    fields = record[KNOWN]
    fields.message = "(a line that the shipper cannot read)"
  end
  return 2, timestamp, fields
end

-- A request: the file's name says whose it is, and nginx wrote every field.
function from_access(tag, timestamp, record)
  local stack = (record.file or ""):match("([^/]+)%.json[.0-9]*$")
  local out = { fields = {}, count = 0, left_out = 0 }
  for name, value in pairs(record) do
    if name ~= "file" and name ~= "log" then put(out, name, value, 0) end
  end
  local fields = out.fields
  fields.host, fields.stack, fields.service = given.host, stack, "proxy"
  fields.unit, fields.job, fields.source = "nginx", "nginx", "access"
  local status = tonumber(record.status) or 0
  fields.level = status >= 500 and "error" or "info"
  fields.metric_method = METHODS[record.method] and record.method or "other"
  if status > 0 then fields.metric_status = STATUSES[status] or math.floor(status / 100) .. "xx" end
  if record.log then
    fields.message = cut(tostring(record.log), LONGEST_MESSAGE)
  else
    fields.message = cut(
      string.format("%s %s%s %d", record.method or "?", record.domain or "", record.path or "", status), LONGEST_MESSAGE)
  end
  return 2, timestamp, fields
end
