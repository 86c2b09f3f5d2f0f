# Listeners on 127.0.0.1 of this host, by the option that sets their port: no two may have the same
# port.
{ config, lib, ... }:
let
  contract = import ../../nix/contract.nix;
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  agent = config.services.slipway.agent or { enable = false; };
  telemetry = config.services.slipway.telemetry or { enable = false; };
  monitoring = config.services.slipway.monitoring or { enable = false; };
  cluster = import ../cluster/lib.nix { inherit config lib; };
  floating = config.services.slipway.floating or { };
  each = test: listener: lib.mapAttrsToList listener (lib.filterAttrs (_: test) stacks);
  served = stack: stack.proxy.served != { };
  backedUp = stack: stack.backup.enable or false;

  listeners =
    lib.concatLists (
      each (_: true) (
        name: stack:
        lib.concatLists (
          lib.mapAttrsToList (
            key: service:
            let
              option = "services.slipway.stacks.${name}.services.${key}";
            in
            lib.optional (service.listen.type == "tcp" && service.listen.port != null) {
              option = "${option}.listen.port";
              # The stand-in's is the one before.
              before = if service.standIn == null then 0 else 1;
              first = service.listen.port - (if service.standIn == null then 0 else 1);
              count = service.replicas + (if service.standIn == null then 0 else 1);
            }
            ++ lib.optional (service.metrics.port != null) {
              option = "${option}.metrics.port";
              first = service.metrics.port;
              # Those of the presets have room for every number of replicas.
              count = if service.preset != null then contract.replicas.most else service.replicas;
            }
            ++ map (port: {
              option = "${option}.extraPorts";
              first = port;
            }) service.extraPorts
          ) stack.services
        )
      )
    )
    ++ each (stack: stack.proxy.ping) (
      name: stack: {
        option = "services.slipway.stacks.${name}.proxy.pingPort";
        first = stack.proxy.pingPort;
      }
    )
    ++ lib.optionals (lib.any served (lib.attrValues stacks)) [
      {
        option = "the proxy's port for HTTP";
        first = contract.ports.http;
      }
      {
        option = "the proxy's port for HTTPS";
        first = contract.ports.https;
      }
    ]
    ++ lib.optional (agent.enable && agent.metricsPort != null) {
      option = "services.slipway.agent.metricsPort";
      first = agent.metricsPort;
    }
    ++ lib.optional (lib.any backedUp (lib.attrValues stacks)) {
      option = "services.slipway.backup.exporter.port";
      first = config.services.slipway.backup.exporter.port;
    }
    ++ lib.optional config.services.postgresql.enable {
      option = "services.postgresql.settings.port";
      first = config.services.postgresql.settings.port;
    }
    ++ lib.optional (telemetry.enable && config.services.nginx.enable) {
      option = "services.slipway.telemetry.nginxStatusPort";
      first = telemetry.nginxStatusPort;
    }
    ++ lib.optional (telemetry ? logs && telemetry.logs.enable) {
      option = "services.slipway.telemetry.logs.metricsPort";
      first = telemetry.logs.metricsPort;
    }
    ++ lib.optionals (monitoring.enable && monitoring.logs.enable) [
      {
        option = "the log store's port";
        first = contract.ports.logStore;
      }
      {
        option = "the port for this host's own logs";
        first = contract.ports.logLocal;
      }
    ]
    ++ lib.optionals cluster.enable (
      map
        (name: {
          option = "services.slipway.cluster.ports.${name}";
          first = cluster.cfg.ports.${name};
        })
        (
          [
            "leader"
            "read"
            "proxyMetrics"
          ]
          ++ lib.optionals cluster.member [
            "etcdMetrics"
            "patroniMetrics"
          ]
        )
    )
    ++ lib.optionals (floating != { }) [
      {
        option = "the port at which members of services.slipway.floating ask each other";
        first = contract.ports.floating;
      }
      {
        option = "the port for certificates of services.slipway.floating";
        first = contract.ports.floatingRelay;
      }
    ]
    ++ neighbours;

  # What many hosts have of their own.
  inherit (config.services)
    grafana
    opensearch
    prometheus
    redis
    ;
  neighbours =
    lib.optional (grafana.enable && grafana.settings.server.protocol != "socket") {
      option = "services.grafana.settings.server.http_port";
      first = grafana.settings.server.http_port;
    }
    ++ lib.optional opensearch.enable {
      option = ''services.opensearch.settings."http.port"'';
      first = opensearch.settings."http.port";
    }
    ++ lib.optional prometheus.enable {
      option = "services.prometheus.port";
      first = prometheus.port;
    }
    ++ lib.optional prometheus.alertmanager.enable {
      option = "services.prometheus.alertmanager.port";
      first = prometheus.alertmanager.port;
    }
    # Those of Slipway: asking for others would set off the messages of options that nixpkgs has renamed.
    ++
      map
        (name: {
          option = "services.prometheus.exporters.${name}.port";
          first = prometheus.exporters.${name}.port;
        })
        (
          lib.filter (name: prometheus.exporters.${name}.enable) [
            "blackbox"
            "nginx"
            "node"
            "postgres"
            "redis"
          ]
        )
    ++ lib.mapAttrsToList (name: server: {
      option = "services.redis.servers.${name}.port";
      first = server.port;
    }) (lib.filterAttrs (_: server: server.enable && server.port != 0) redis.servers);

  end = listener: listener.first + (listener.count or 1);
  # Ports that it takes before the one that its option names.
  before = listener: listener.before or 0;
  shown =
    listener:
    "${listener.option} (${toString listener.first}"
    + lib.optionalString (listener ? count) " to ${toString (end listener - 1)}"
    + ")";
  pairs = lib.concatLists (
    lib.imap0 (n: one: map (other: { inherit one other; }) (lib.drop (n + 1) listeners)) listeners
  );
in
{
  assertions =
    map (
      { one, other }:
      {
        assertion = end one <= other.first || end other <= one.first;
        message = "${shown one} and ${shown other} want the same port of 127.0.0.1: set one of them to a port that is free, such as ${
          toString (lib.foldl' lib.max 0 (map end listeners) + lib.max (before one) (before other))
        }.";
      }
    ) pairs
    ++ map (listener: {
      assertion = end listener <= 65536;
      message = "${shown listener} goes beyond the last port, 65535: begin lower, such as at ${
        toString (65536 - (listener.count or 1))
      }, or with fewer replicas.";
    }) listeners;
}
