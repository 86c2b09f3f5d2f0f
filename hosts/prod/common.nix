# Common to every host of the fleet: its name, its private address, an agent, its own key for TLS inside the fleet, the
# door by which the monitoring host reads its metrics, and the logs that it sends there.
{ config, lib, ... }:
let
  fleet = import ./fleet.nix;
  name = lib.removePrefix "prod-" config.networking.hostName;
in
{
  networking = {
    interfaces.${fleet.interface}.ipv4.addresses = [
      {
        address = fleet.addresses.${name};
        inherit (fleet) prefixLength;
      }
    ];
    hosts = lib.mapAttrs' (
      host: address: lib.nameValuePair address [ "${host}.internal" ]
    ) fleet.addresses;
  };

  # For programs that are given a path, such as in a database's address.
  environment.etc = {
    "slipway/fleet-authority.pem".source = fleet.authority;
    "slipway/fleet-certificate.pem".source = fleet.certificates.${name};
  };

  services.slipway = {
    network.privateInterface = fleet.interface;
    agent = {
      enable = true;
      apiUrl = "https://${fleet.domain}";
      tokenFile = config.services.slipway.agenix.files.agent-token.path;
    };
    telemetry = lib.mkIf (name != "monitor") (
      let
        own = {
          inherit (fleet) authority;
          certificate = fleet.certificates.${name};
          key = config.services.slipway.agenix.files.door-key.path;
        };
      in
      {
        door = own // {
          address = fleet.addresses.${name};
          clients = [ fleet.addresses.monitor ];
          name = "${name}.internal";
          # Every host of the fleet has a certificate of this authority.
          clientNames = [ "monitor.internal" ];
        };
        logs = own // {
          endpoint = "https://monitor.internal:9444";
        };
      }
    );
    agenix.files = {
      agent-token = {
        file = ../../secrets/prod + "/${name}-agent-token.age";
        restartUnits = [ "slipway-agent" ];
      };
      door-key = lib.mkIf (name != "monitor") {
        file = ../../secrets/prod + "/${name}-key.age";
        restartUnits = [
          "slipway-logs"
          "slipway-telemetry-door"
        ];
      };
    };
  };
}
