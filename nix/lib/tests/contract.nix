# The contract says the same as the code: what the settings are by default, and which paths there are.
let
  contract = import ../../contract.nix;
  text = builtins.readFile ../../../.env.example;
  # NAME=value of .env.example, commented out or not.
  setting =
    name:
    let
      found = builtins.filter (part: builtins.isList part) (
        builtins.split "(^|\n)(# )?${name}=([^\n]*)" text
      );
    in
    if found == [ ] then null else builtins.elemAt (builtins.head found) 2;
  same = name: value: {
    name = "contract: ${name} of .env.example";
    got = setting name;
    want = toString value;
  };
  holds = name: got: {
    name = "contract: ${name}";
    inherit got;
    want = true;
  };
  routes = builtins.readFile ../../../crates/lib/wire/src/route.rs;
  route =
    path:
    holds "${path} is a route of the api" (builtins.length (builtins.split "\"${path}\"" routes) > 1);
  domain = ../../../crates/lib/domain/src;
  strategy = builtins.readFile (domain + "/strategy.rs");
  # A text of the code that has the value.
  written =
    file: text: value:
    holds "`${text} ${toString value}` is in the code" (
      builtins.length (builtins.split "${text} ${toString value}[,;]" file) > 1
    );
in
[
  (same "API_PORT" contract.ports.api)
  (same "API_REQUEST_TIMEOUT_SECONDS" contract.times.requestSeconds)
  (same "API_KEEPALIVE_SECONDS" contract.times.keepaliveSeconds)
  (same "API_SHUTDOWN_GRACE_SECONDS" contract.times.shutdownGraceSeconds)
  (same "DATABASE_PORT" contract.ports.postgres)
  (same "DATABASE_NAME" contract.database.name)
  (same "DATABASE_USER" contract.database.user)
  (same "DATABASE_POOL_SIZE" contract.database.poolSize)
  (same "DATABASE_MAX_OVERFLOW" contract.database.maxOverflow)
  (same "REDIS_PORT" contract.ports.redis)
  (route contract.paths.health)
  (route contract.paths.live)
  (route contract.paths.ready)
  (route contract.paths.sync)
  (written strategy "activate_seconds:" contract.rollout.activateSeconds)
  (written strategy "bake_seconds:" contract.rollout.bakeSeconds)
  (written strategy "deadman_seconds:" contract.rollout.deadmanSeconds)
  (written strategy "timeout_seconds:" contract.rollout.verifySeconds)
  (written (builtins.readFile (
    domain + "/agent.rs"
  )) "MAX_HOOKS_SECONDS: u32 =" contract.times.hooksSeconds)
  (written (builtins.readFile ../../../crates/lib/host/src/hooks.rs) "END_SECONDS: u32 ="
    contract.times.hookEndSeconds
  )
  (holds "the proxy gives up idle connections before the api does" (
    contract.times.proxyKeepaliveSeconds < contract.times.keepaliveSeconds
  ))
  (holds "the proxy waits longer than a long poll" (
    contract.times.longPollSeconds < contract.times.proxyReadSeconds
  ))
  (holds "the proxy waits longer than the longest request" (
    contract.times.requestSeconds < contract.times.proxyRequestSeconds
  ))
  (holds "nobody is killed while draining" (
    contract.times.shutdownGraceSeconds < contract.times.killSeconds
  ))
  (holds "all pools fit the database" (
    let
      perProcess = contract.database.poolSize + contract.database.maxOverflow;
      processes = contract.replicas.apiMost + contract.replicas.worker;
    in
    perProcess * processes < contract.database.maxConnections
  ))
]
