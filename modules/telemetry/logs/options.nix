# Where logs go, and how the shipper is known there.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  contract = import ../../../nix/contract.nix;
  externalPath = import ../../../nix/lib/external-path.nix { inherit lib; };
  cfg = config.services.slipway.telemetry;
  monitoring = config.services.slipway.monitoring or { };

  # How a destination is spoken to: the same for both kinds.
  access = {
    authority = mkOption {
      type = types.path;
      default = "/etc/ssl/certs/ca-certificates.crt";
      defaultText = lib.literalMD "the system's authorities";
      example = "/etc/slipway/fleet-authority.pem";
      description = "A PEM file with the authority that the destination's certificate must come from.";
    };
    certificate = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/slipway/fleet-certificate.pem";
      description = "A PEM file with the certificate that this host shows, and its chain.";
    };
    key = mkOption {
      type = types.nullOr externalPath;
      default = null;
      example = "/run/agenix/fleet-key";
      description = "The PEM file with that certificate's private key. Only the shipper sees it; a changed file is taken at once.";
    };
    user = mkOption {
      type = types.nullOr (types.strMatching "[A-Za-z0-9_.@-]+");
      default = null;
      example = "app-1";
      description = "The name that goes with `passwordFile`.";
    };
    passwordFile = mkOption {
      type = types.nullOr externalPath;
      default = null;
      example = "/run/agenix/logs-password";
      description = "A file outside the Nix store with the password, on one line. Only the shipper sees it.";
    };
    allowPlain = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether lines may travel unencrypted: only on a network that encrypts, such as WireGuard.";
    };
  };
in
{
  options.services.slipway.telemetry.logs = access // {
    enable = mkOption {
      type = types.bool;
      default = cfg.enable && (cfg.logs.endpoint != null || cfg.logs.elasticsearch.endpoint != null);
      defaultText = lib.literalMD "whether there is an endpoint";
      example = false;
      description = ''
        Whether this host sends the lines of its journal and of its proxies' access logs to one place. Each has the fields
        `host`, `stack`, `service`, `unit` and `level`, and those that programs log as JSON.
      '';
    };
    endpoint = mkOption {
      type = types.nullOr types.str;
      default =
        if (monitoring.enable or false) && (monitoring.logs.enable or false) then
          "http://127.0.0.1:${toString monitoring.logs.localPort}"
        else
          null;
      defaultText = lib.literalMD "the store on this host itself, if it has one";
      example = "https://monitor.internal:9444";
      description = ''
        The address of the monitoring host's store (`services.slipway.monitoring.logs`). It knows this host by `certificate`
        and `key`, or by `user` and `passwordFile`; the user is the host's name.
      '';
    };
    elasticsearch = access // {
      endpoint = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "https://search.example.com:9200";
        description = "The address of an Elasticsearch or OpenSearch that gets the same lines.";
      };
      index = mkOption {
        type = types.strMatching "[a-z0-9][a-z0-9_.-]*";
        default = "slipway-logs";
        example = "logs-slipway-default";
        description = "The index, or what its name begins with if there is a `dateSuffix`.";
      };
      dateSuffix = mkOption {
        type = types.nullOr (types.strMatching "[%A-Za-z0-9._-]+");
        default = "%Y.%m.%d";
        example = null;
        description = ''
          What follows in the index's name after a `-`, by the day of the line, as strftime writes it. A line that is sent
          twice is then there once. Null: `index` is a data stream or an alias, and a line sent twice is there twice.
        '';
      };
    };
    bufferMiB = mkOption {
      type = types.ints.between 16 1048576;
      default = 512;
      example = 4096;
      description = ''
        What waits on disk for a destination that is away, refuses or is full, for each destination. Beyond it the oldest lines
        are dropped and counted. 512 MiB are about 15 minutes at 1,000 lines a second.
      '';
    };
    metricsPort = mkOption {
      type = types.port;
      default = contract.ports.logMetrics;
      example = 9250;
      description = "The port of the shipper's metrics on 127.0.0.1: its own, and those that it counts from lines.";
    };
  };
}
