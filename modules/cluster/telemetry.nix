# Metrics of etcd, Patroni and HAProxy for the monitoring host.
{
  config,
  lib,
  options,
  ...
}:
let
  cluster = import ./lib.nix { inherit config lib; };
  inherit (cluster) cfg;
  at = port: "127.0.0.1:${toString port}";
  target = job: port: {
    inherit job;
    address = at port;
    labels = {
      cluster = cfg.name;
      inherit (cfg) synchronous;
    };
  };
in
{
  config = lib.mkIf cluster.enable (
    lib.optionalAttrs (options.services.slipway ? telemetry) {
      services.slipway.telemetry.targets = lib.mkIf config.services.slipway.telemetry.enable (
        [ (target "cluster-proxy" cfg.ports.proxyMetrics) ]
        ++ lib.optionals cluster.member [
          (target "etcd" cfg.ports.etcdMetrics)
          (target "patroni" cfg.ports.patroniMetrics)
        ]
      );
    }
  );
}
