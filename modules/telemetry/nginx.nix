# nginx: its own counters of connections and requests, by nginx-prometheus-exporter. What was asked is in the access logs.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  contract = import ../../nix/contract.nix;
  cfg = config.services.slipway.telemetry;
  active = cfg.enable && config.services.nginx.enable;
  inherit (config.services.prometheus.exporters) nginx;
  listens = import ./listens.nix;
  quiet = import ./quiet.nix { inherit lib; };
in
{
  options.services.slipway.telemetry.nginxStatusPort = mkOption {
    type = types.port;
    default = contract.ports.proxyStatus;
    example = 8094;
    description = "The port on 127.0.0.1 where nginx shows its counters to the exporter.";
  };

  config = lib.mkIf active {
    # A port and no socket: the socket's folder would need nginx' group, which can read the keys of certificates.
    services.nginx.virtualHosts.slipway-status = {
      listen = [
        {
          addr = "127.0.0.1";
          port = cfg.nginxStatusPort;
          ssl = false;
        }
      ];
      extraConfig = "access_log off;";
      locations = {
        "= /".extraConfig = "stub_status;";
        "/".return = "404";
      };
    };
    services.prometheus.exporters.nginx = {
      enable = true;
      listenAddress = lib.mkDefault "127.0.0.1";
      scrapeUri = "http://127.0.0.1:${toString cfg.nginxStatusPort}/";
    };
    systemd.services.prometheus-nginx-exporter = quiet { memoryMiB = 48; } // {
      # nixpkgs ties it to nginx. Without nginx it must go on and say so, and not stay down after a failed start.
      requires = lib.mkForce [ ];
    };
    services.slipway.telemetry.targets = [
      {
        job = "nginx";
        address = listens nginx;
      }
    ];
  };
}
