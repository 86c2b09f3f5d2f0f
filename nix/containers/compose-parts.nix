# What all containers of a compose file have in common, and the notation of its values.
{ lib }:
let
  contract = import ../contract.nix;
  inherit (contract) health user;
  requestsOf = import ./requests.nix { inherit lib; };
in
rec {
  seconds = number: "${toString number}s";
  # Without the zeros that Nix writes.
  decimal = number: lib.removeSuffix ".0" (builtins.toJSON number);
  mebibytes = number: "${toString number}m";
  # Compose reads `$`.
  literal = lib.replaceStrings [ "$" ] [ "$$" ];
  secret = key: "/run/secrets/${lib.toLower key}";

  # Compose stops with this sentence when the variable is not set.
  required =
    variable: example: "\${${variable}:?set it to an image by digest, such as ${example}@sha256:…}";

  # Nothing that it does not need, bounds, and a restart unless a person stopped it.
  common =
    {
      limits ? contract.limits,
      stopSeconds ? contract.times.killSeconds,
    }:
    {
      restart = "unless-stopped";
      read_only = true;
      cap_drop = [ "ALL" ];
      security_opt = [ "no-new-privileges:true" ];
      # A dump would hold every secret of the process.
      ulimits = {
        core = 0;
      }
      // lib.optionalAttrs (limits ? openFiles) { nofile = limits.openFiles; };
      stop_grace_period = seconds stopSeconds;
      logging = {
        driver = "json-file";
        options = {
          max-size = "10m";
          max-file = "3";
        };
      };
      deploy.resources = {
        limits = {
          cpus = decimal limits.cpus;
          memory = mebibytes limits.memoryMiB;
          pids = limits.tasks or 1024;
        };
        reservations = {
          cpus = decimal (requestsOf limits).cpus;
          memory = mebibytes (requestsOf limits).memoryMiB;
        };
      };
    };

  check =
    {
      intervalSeconds ? health.intervalSeconds,
      timeoutSeconds ? health.timeoutSeconds,
      retries ? health.retries,
      startSeconds ? health.startSeconds,
    }:
    test: {
      inherit retries test;
      interval = seconds intervalSeconds;
      timeout = seconds timeoutSeconds;
      start_period = seconds startSeconds;
      # How soon a service that starts is found healthy by those that wait for it.
      start_interval = "2s";
    };

  # Servers of others run as their own user; the secrets belong to our group.
  server =
    uid:
    common { }
    // {
      user = "${toString uid}:${toString uid}";
      group_add = [ (toString user.gid) ];
      networks = [ "backend" ];
    };
}
