-- Redis runs the scripts of the ledger: Lua 5.1, and what Redis adds to it.
std = "lua51"
globals = {}
read_globals = { "KEYS", "ARGV", "redis", "cjson", "cmsgpack", "bit" }
max_line_length = 120
