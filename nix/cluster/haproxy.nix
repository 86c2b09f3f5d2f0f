# HAProxy of a host that uses the cluster: a port that leads to the leader, and one that leads to those who may read. TLS
# goes through it, from the program to Postgres.
{
  members,
  ports,
  serverName,
  # { authority }
  files,
  check,
  lag,
  # Where programs connect.
  listen,
  # A member whose own Patroni's metrics are to be had on 127.0.0.1, without TLS, and the port for them.
  metricsOf,
  maxConnections,
}:
let
  lib = import ./lib.nix;
  ms = value: "${toString value}ms";
  servers =
    interval:
    builtins.concatStringsSep "\n" (
      map (
        name:
        "  server ${name} ${
            lib.hostPort members.${name}.address ports.postgres
          } check port ${toString ports.patroni} inter ${ms interval}"
      ) (lib.names members)
    );
  backend = name: interval: path: ''
    backend ${name}
      option httpchk OPTIONS ${path}
      http-check expect status 200
    ${servers interval}
  '';
  patroniMetrics =
    if metricsOf == null then
      ""
    else
      ''
        frontend patroni-metrics
          mode http
          timeout client 10s
          bind ${lib.hostPort "127.0.0.1" metricsOf.port}
          http-request return status 404 unless { path /metrics }
          default_backend patroni-metrics

        backend patroni-metrics
          mode http
          timeout server 10s
          server ${metricsOf.member} ${
            lib.hostPort members.${metricsOf.member}.address ports.patroni
          } ssl ca-file ${files.authority} verify required verifyhost ${serverName}

      '';
in
''
  global
    log stdout format raw daemon notice
    maxconn ${toString maxConnections}

  defaults
    mode tcp
    log global
    timeout connect 2s
    # A query may take its time, and a pool's connection may rest. Postgres and the checks end what is dead.
    timeout client 7d
    timeout server 7d
    timeout check ${ms check.timeout}
    option clitcpka
    option srvtcpka
    option dontlognull
    # Connections to a member that leads no more are cut, so that a pool opens new ones to the one that does.
    default-server check-ssl ca-file ${files.authority} verify required verifyhost ${serverName} rise ${toString check.rise} fall ${toString check.fall} on-marked-down shutdown-sessions

  frontend leader
    bind ${lib.hostPort listen ports.leader}
    default_backend leader

  frontend read
    bind ${lib.hostPort listen ports.read}
    # The leader answers as well while no standby is near enough.
    use_backend replicas if { nbsrv(replicas) ge 1 }
    default_backend leader

  frontend metrics
    mode http
    timeout client 10s
    bind ${lib.hostPort "127.0.0.1" ports.proxyMetrics}
    http-request use-service prometheus-exporter if { path /metrics }
    http-request return status 404

  ${patroniMetrics}${backend "leader" check.interval "/primary"}
  ${backend "replicas" check.readInterval "/replica?lag=${toString lag.readBytes}"}''
