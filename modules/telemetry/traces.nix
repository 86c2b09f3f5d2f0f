# services.slipway.telemetry.traces: where spans go. The agent gets it here, programs of stacks in ../stack/traces.nix.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.telemetry.traces;
  option = "services.slipway.telemetry.traces";
  agent = config.services.slipway.agent or { enable = false; };
  externalPath = import ../../nix/lib/external-path.nix { inherit lib; };

  sends = lib.any (
    stack: stack.enable && lib.any (service: service.preset != null) (lib.attrValues stack.services)
  ) (lib.attrValues (config.services.slipway.stacks or { }));

  isHttps = lib.hasPrefix "https://" cfg.endpoint;
  isLocal =
    cfg.endpoint != null
    && builtins.match "http://(localhost|127\\.[0-9.]+|\\[::1])(:[0-9]+)?(/.*)?" cfg.endpoint != null;
in
{
  options.services.slipway.telemetry.traces = {
    endpoint = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "https://otlp.eu01.nr-data.net";
      description = ''
        The base address of what takes OTLP over HTTP with protobuf: spans are posted to `/v1/traces` below it. The agent and
        all services with a `preset` send theirs there. Null: no spans are sent. docs/traces.md has the addresses of
        common ones.
      '';
    };
    headersFile = mkOption {
      type = types.nullOr externalPath;
      default = null;
      example = "/run/agenix/otlp-headers";
      description = ''
        A file outside the Nix store with the headers that the receiver wants, such as `api-key=0123`: `name=value`, separated
        by commas. Null means none.
      '';
    };
    caFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/ssl/own-ca.pem";
      description = "A PEM file with a root certificate to trust for the receiver besides the system's; null means none.";
    };
    addresses = mkOption {
      type = types.listOf types.str;
      default = lib.optional isLocal "localhost";
      defaultText = lib.literalMD "`[ \"localhost\" ]` for an endpoint on this host";
      example = [ "any" ];
      description = ''
        The addresses that the endpoint has: programs of stacks may talk to them, besides their `allowedAddresses`. For a
        service of another company, whose addresses change, it is `[ "any" ]`. The agent may talk to any address.
      '';
    };
  };

  config = lib.mkIf (cfg.endpoint != null) {
    systemd.services.slipway-agent = lib.mkIf agent.enable {
      environment = {
        OTEL_EXPORTER_OTLP_ENDPOINT = lib.mkDefault cfg.endpoint;
      }
      // lib.optionalAttrs (cfg.caFile != null) {
        OTEL_EXPORTER_OTLP_CERTIFICATE = lib.mkDefault "${cfg.caFile}";
      };
      serviceConfig.LoadCredential = lib.optional (
        cfg.headersFile != null
      ) "OTEL_EXPORTER_OTLP_HEADERS:${cfg.headersFile}";
    };

    # A module that all hosts share may set it, so it is no mistake.
    warnings =
      lib.optional (!sends && !agent.enable)
        "${option}.endpoint is set, and no program of this host sends spans: give a service of a stack a preset, enable services.slipway.agent, or leave the endpoint out.";

    assertions = [
      {
        assertion = builtins.match "https?://[^@?#]+" cfg.endpoint != null;
        message = "${option}.endpoint is ${cfg.endpoint}: give an http:// or https:// address without credentials, `?` or `#`; keys belong into ${option}.headersFile.";
      }
      {
        assertion = builtins.match ".*/v1/traces/?" cfg.endpoint == null;
        message = "${option}.endpoint is ${cfg.endpoint}: give the address without /v1/traces, which programs put behind it.";
      }
      {
        assertion = cfg.headersFile == null || isHttps || isLocal;
        message = "${option}.endpoint is ${cfg.endpoint}: the headers of ${option}.headersFile would travel unencrypted; use https://, or http:// to this host itself.";
      }
      {
        assertion = cfg.caFile == null || isHttps;
        message = "${option}.caFile is set, and ${option}.endpoint is ${cfg.endpoint}, which needs no certificate: use https://, or leave the file out.";
      }
      {
        assertion = cfg.addresses != [ ];
        message = "${option}.endpoint is ${cfg.endpoint}, and the programs of stacks may not talk to it: set ${option}.addresses to its addresses, or to [ \"any\" ].";
      }
    ];
  };
}
