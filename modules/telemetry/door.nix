# The door: the only way to this host's metrics from outside. It is an nginx of its own, so that a fault of the public one
# hides nothing, and the key of the one is not in the other (decision 90).
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  contract = import ../../nix/contract.nix;
  externalPath = import ../../nix/lib/external-path.nix { inherit lib; };
  cfg = config.services.slipway.telemetry;
  inherit (cfg) door;
  active = cfg.enable && door.address != null;
  name = "slipway-telemetry-door";
  folder = "/run/${name}";

  inherit (import ../../nix/lib/address.nix) hostPort;
in
{
  options.services.slipway.telemetry.door = {
    address = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "10.1.0.11";
      description = ''
        This host's address in the network that it shares with the monitoring host. There the door lets that one read the
        `targets`, and nothing else. Null: no door, as on the monitoring host itself.
      '';
    };
    port = mkOption {
      type = types.ints.between 1024 65535;
      default = contract.ports.telemetry;
      example = 19443;
      description = "The TCP port of the door.";
    };
    clients = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "10.1.0.30" ];
      description = "The addresses of the monitoring hosts. The firewall opens the port for them only.";
    };
    name = mkOption {
      type = types.str;
      default = if door.address == null then config.networking.hostName else door.address;
      defaultText = lib.literalMD "the door's address";
      example = "app-1.internal";
      description = "The name or address that the door's certificate is for.";
    };
    tls = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether the door speaks TLS and asks for a certificate. Switch it off only on a network that encrypts and knows its
        members, such as WireGuard. Then the client's address alone decides.
      '';
    };
    certificate = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/slipway/fleet-certificate.pem";
      description = "A PEM file with the door's certificate and its chain.";
    };
    key = mkOption {
      type = types.nullOr externalPath;
      default = null;
      example = "/run/agenix/door-key";
      description = "The PEM file with that certificate's private key, readable by root. A changed file is taken at once.";
    };
    authority = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/slipway/fleet-ca.pem";
      description = "A PEM file with the authority that the monitoring host's certificate must come from.";
    };
    clientNames = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "monitor.internal" ];
      description = ''
        The common names (CN) of the certificates that are let in. Empty: every certificate of the authority, which other hosts
        of the fleet may have as well.
      '';
    };
    target = mkOption {
      type = types.str;
      internal = true;
      readOnly = true;
      default = hostPort (toString door.address) door.port;
      description = "Address and port, as Prometheus and nginx write them.";
    };
    configuration = mkOption {
      type = types.lines;
      internal = true;
      readOnly = true;
      default = import ./door-text.nix { inherit lib contract; } {
        inherit folder;
        inherit (cfg) targets;
        inherit (door) clients tls clientNames;
        listen = door.target;
      };
      description = "What the door's nginx is told.";
    };
  };

  config = lib.mkIf active (
    import ./door-unit.nix { inherit config lib pkgs; } {
      inherit name;
      behind = "this host's metrics";
      option = "services.slipway.telemetry.door";
      files = lib.optionalAttrs door.tls { inherit (door) certificate key authority; };
      inherit (door) clients configuration port;
      memoryMax = "64M";
    }
  );
}
