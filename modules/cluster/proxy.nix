# HAProxy: the two ports of this host that lead to the cluster. A changed list of members is taken without a cut connection.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cluster = import ./lib.nix { inherit config lib; };
  inherit (cluster) cfg;
  hardening = import ../../nix/lib/hardening.nix;
  file = "/etc/slipway/cluster-proxy.cfg";
in
{
  config = lib.mkIf cluster.enable {
    networking.hosts."127.0.0.1" = [ cfg.serverName ];
    environment.etc."slipway/cluster-proxy.cfg".text = (import ../../nix/cluster).haproxy (
      cluster.common
      // {
        files.authority = "${cfg.authority}";
        metricsOf =
          if cluster.member then
            {
              member = cluster.name;
              port = cfg.ports.patroniMetrics;
            }
          else
            null;
      }
    );
    systemd.services.slipway-cluster-proxy = {
      description = "The way to the leader of the cluster ${cfg.name}";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      reloadTriggers = [ config.environment.etc."slipway/cluster-proxy.cfg".source ];
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = hardening { addresses = cluster.addresses ++ [ "localhost" ]; } // {
        Type = "notify";
        # A process in front starts the new one beside the old one, which goes on with its connections.
        ExecStart = "${pkgs.haproxy}/bin/haproxy -Ws -f ${file} -p /run/slipway-cluster-proxy/pid";
        ExecReload = [
          "${pkgs.haproxy}/bin/haproxy -Ws -f ${file} -c -q"
          "${pkgs.coreutils}/bin/kill -USR2 $MAINPID"
        ];
        DynamicUser = true;
        RuntimeDirectory = "slipway-cluster-proxy";
        KillMode = "mixed";
        SuccessExitStatus = 143;
        Restart = "always";
        RestartSec = 1;
        LimitNOFILE = 65536;
        OOMScoreAdjust = -500;
      };
    };
  };
}
