# The stacks' Redis: one redis_exporter for all of them. It logs in as a user that may ask for counters and nothing else, so
# it knows no password and sees no key.
{ config, lib, ... }:
let
  cfg = config.services.slipway.telemetry;
  caches = lib.filterAttrs (_: stack: stack.enable && stack.cache.enable) (
    config.services.slipway.stacks or { }
  );
  active = cfg.enable && caches != { };
  inherit (config.services.prometheus.exporters) redis;
  listens = import ./listens.nix;
  quiet = import ./quiet.nix { inherit lib; };
  cluster = import ../cluster/lib.nix { inherit config lib; };
  # Its socket is there for the exporter.
  sentinel = cluster.member && cluster.redis != { };
  user = "telemetry";
in
{
  config = lib.mkIf active {
    # Whoever reaches the socket, or comes with a certificate of the fleet, may know the counters.
    services.redis.servers = lib.mapAttrs (_: _: {
      settings.user = "${user} on nopass nocommands +info +slowlog|len +latency|latest";
    }) caches;
    services.prometheus.exporters.redis = {
      enable = true;
      listenAddress = lib.mkDefault "127.0.0.1";
      extraFlags = [
        # No server of its own: each scrape names one.
        "-redis.addr="
        "-redis.user=${user}"
        # Redis takes any from this user, and without one the exporter would not log in.
        "-redis.password=none"
        # The command does not exist in these servers.
        "-config-command=-"
        "-set-client-name=false"
        "-exclude-latency-histogram-metrics"
        "-disable-exporting-key-values"
      ];
    };
    systemd.services.prometheus-redis-exporter = lib.mkMerge [
      (quiet { memoryMiB = 48; })
      {
        serviceConfig.SupplementaryGroups =
          map (name: "redis-${name}") (lib.attrNames caches) ++ lib.optional sentinel "slipway-sentinel";
      }
    ];
    services.slipway.telemetry.targets =
      lib.mapAttrsToList (name: stack: {
        job = "redis";
        unit = "redis-${name}";
        address = listens redis;
        path = "/scrape";
        params.target = "unix://${stack.cache.address}";
        labels.stack = name;
      }) caches
      ++ lib.optional sentinel {
        job = "sentinel";
        unit = "slipway-sentinel";
        address = listens redis;
        path = "/scrape";
        params.target = "unix:///run/slipway-sentinel/sentinel.sock";
        labels.cluster = cluster.cfg.name;
      };
  };
}
