# What programs of stacks send to others: spans, by services.slipway.telemetry.traces, and the name of their release to
# Sentry.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  traces = config.services.slipway.telemetry.traces or { endpoint = null; };

  variables = {
    OTEL_EXPORTER_OTLP_ENDPOINT = traces.endpoint;
  }
  // lib.optionalAttrs (traces.caFile != null) {
    OTEL_EXPORTER_OTLP_CERTIFICATE = "${traces.caFile}";
  };
  secrets = lib.optionalAttrs (traces.headersFile != null) {
    OTEL_EXPORTER_OTLP_HEADERS = traces.headersFile;
  };

  stackOptions =
    { config, ... }:
    let
      stack = config;
      # What the whole stack says goes before what a host says.
      unless = said: lib.filterAttrs (name: _: !(said ? ${name}));

      spans =
        service:
        lib.mkIf (traces.endpoint != null && service.preset != null) {
          environment = lib.mapAttrs (_: lib.mkDefault) (unless stack.environment variables);
          secrets = lib.mapAttrs (_: lib.mkDefault) (unless stack.secrets secrets);
          allowedAddresses = lib.mkIf (!lib.elem "any" stack.allowedAddresses) (
            lib.mkDefault (lib.unique (stack.allowedAddresses ++ traces.addresses))
          );
        };

      # `name@version`, as Sentry has it. Errors can be found by what was rolled out then.
      release =
        service:
        let
          version = lib.getVersion service.package;
          reports = lib.any (set: set ? SENTRY_DSN) [
            stack.environment
            stack.secrets
            service.secrets
          ];
        in
        lib.mkIf (reports && version != "" && !(stack.environment ? SENTRY_RELEASE)) {
          environment.SENTRY_RELEASE = lib.mkDefault "${lib.getName service.package}@${version}";
        };
    in
    {
      options.services = mkOption {
        type = types.attrsOf (
          types.submodule (
            { config, ... }:
            {
              config = lib.mkMerge [
                (spans config)
                (release config)
              ];
            }
          )
        );
      };
    };
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule stackOptions);
  };
}
