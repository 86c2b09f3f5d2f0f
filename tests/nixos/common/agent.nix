# Besides the control plane its agent, which deploys this machine; it waits for the token that `join` fetches.
{ config, ... }:
{
  imports = [ ./control-plane.nix ];

  services.slipway.agent = {
    enable = true;
    apiUrl = "https://deploy.example.com";
    host = "machine";
    tokenFile = "/var/lib/secrets/agent-token";
    caFile = config.environment.variables.SLIPWAY_CA_FILE;
  };
  system.switch.enable = true;
  # Made by `join`, which signs what is there with it, as CI signs what it brings to the cache.
  nix.extraOptions = "!include /etc/nix/release-key.conf";
}
