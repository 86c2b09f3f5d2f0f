# Metrics of etcd, Patroni and HAProxy for the monitoring host, and when the member's certificate ends.
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
      # Where modules/telemetry/facts.nix has its own.
      systemd.tmpfiles.settings = lib.mkIf (cluster.member && config.services.slipway.telemetry.enable) {
        "20-slipway-cluster"."/run/slipway-telemetry/cluster.prom"."L+".argument =
          "${cluster.folder}/certificate.prom";
      };
    }
  );
}
