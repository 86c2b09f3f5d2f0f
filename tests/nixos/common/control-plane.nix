# A control plane at deploy.example.com with everything that a host of its own has, the command line, and jq to read it.
{ lib, pkgs, ... }:
let
  certificate = import ./certificate.nix {
    inherit pkgs;
    name = "deploy.example.com";
  };
in
{
  imports = [ ./database.nix ];

  services.slipway = {
    controlPlane = {
      enable = true;
      domain = "deploy.example.com";
      secretKeyFile = "/var/lib/secrets/key";
      adminPasswordFile = "/var/lib/secrets/admin";
    };
    stacks.slipway = {
      proxy = {
        enable = true;
        tls = {
          certificate = "${certificate}/certificate.pem";
          key = "/etc/deploy-key.pem";
        };
      };
      # Five processes in a small machine.
      api.limits.memoryMiB = lib.mkDefault 512;
      worker.limits.memoryMiB = lib.mkDefault 512;
    };
  };
  # Any user may read it: it is the store's already.
  environment.etc."deploy-key.pem".source = "${certificate}/key.pem";
  networking.hosts."127.0.0.1" = [ "deploy.example.com" ];
  environment.variables = {
    SLIPWAY_URL = "https://deploy.example.com";
    SLIPWAY_CA_FILE = "${certificate}/authority.pem";
  };
  environment.systemPackages = [
    pkgs.curl
    pkgs.jq
  ];
}
