# What to ask of each host: the targets and probes that the hosts' own configurations have.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.monitoring;
  externalPath = import ../../nix/lib/external-path.nix { inherit lib; };
  own = config.networking.hostName;

  # [ { attribute, name, telemetry } ]. This host is read from here: `hosts` may have an earlier form of it.
  evaluated = lib.mapAttrsToList (attribute: host: {
    inherit attribute;
    name = host.config.networking.hostName;
    telemetry = host.config.services.slipway.telemetry or { enable = false; };
  }) cfg.hosts;
  watched = [
    {
      name = own;
      inherit (config.services.slipway) telemetry;
    }
  ]
  ++ lib.filter (host: host.name != own && host.telemetry.enable) evaluated;
in
{
  options.services.slipway.monitoring = {
    watched = mkOption {
      type = types.listOf types.raw;
      internal = true;
      readOnly = true;
      default = map (
        { name, telemetry, ... }:
        {
          inherit name;
          inherit (telemetry) targets probes;
          door =
            if name == own then
              null
            else
              {
                inherit (telemetry.door)
                  address
                  target
                  tls
                  name
                  ;
              };
        }
      ) watched;
      description = "The hosts that this one watches, each once, with what to ask there. The door of this host itself is null.";
    };
    hostNames = mkOption {
      type = types.listOf types.raw;
      internal = true;
      readOnly = true;
      default = map (host: { inherit (host) attribute name; }) evaluated;
      description = "The names of `hosts`, with the attribute that each has there.";
    };

    identity = {
      authority = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = lib.literalExpression "./certificates/authority.pem";
        description = ''
          A PEM file with the authority that the certificates of the watched hosts must come from. Needed for hosts whose
          `telemetry.door` has TLS.
        '';
      };
      certificate = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = lib.literalExpression "./certificates/monitor.pem";
        description = "A PEM file with this host's certificate, which the watched hosts ask for. It is not secret.";
      };
      key = mkOption {
        type = types.nullOr externalPath;
        default = null;
        example = "/run/agenix/monitor-key";
        description = "The PEM file with that certificate's private key, readable by root.";
      };
    };
  };
}
