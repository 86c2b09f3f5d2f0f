# The presets: what programs that keep Slipway's contract (docs/settings.md) need not say.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  contract = import ../contract.nix;

  common = {
    secretFiles = lib.mkDefault false;
    type = lib.mkDefault "notify";
    watchdogSeconds = lib.mkDefault 30;
  };
  firstPort = config.metrics.firstPort;
  presets = {
    api = lib.mkMerge [
      common
      {
        arguments = lib.mkDefault [ "serve" ];
        replicas = lib.mkDefault contract.replicas.api;
        listen.type = lib.mkDefault "socket";
        listen.port = lib.mkDefault contract.ports.api;
        listen.variable = lib.mkDefault "API_PORT";
        metrics.port = lib.mkDefault firstPort;
        health.ready = lib.mkDefault { http = contract.paths.ready; };
        health.live = lib.mkDefault { http = contract.paths.live; };
      }
    ];
    worker = lib.mkMerge [
      common
      {
        arguments = lib.mkDefault [ "run" ];
        replicas = lib.mkDefault contract.replicas.worker;
        # The most replicas that an api may have come before.
        metrics.port = lib.mkDefault (firstPort + contract.replicas.most);
      }
    ];
  };

  apis = lib.filter (name: config.services.${name}.preset == "api") (lib.attrNames config.services);
in
{
  options = {
    front = mkOption {
      type = types.nullOr types.str;
      default = if apis == [ ] then null else lib.head apis;
      internal = true;
      readOnly = true;
      description = "The first service with the preset `api`: requests to `proxy.domain` go there, and its program migrates.";
    };
    services = mkOption {
      type = types.attrsOf (
        types.submodule (
          { config, ... }:
          {
            config = lib.mkMerge (lib.mapAttrsToList (preset: lib.mkIf (config.preset == preset)) presets);
          }
        )
      );
    };
    metrics.firstPort = mkOption {
      type = types.port;
      default = contract.ports.stackMetrics;
      example = 9400;
      description = ''
        The port of the metrics of the first replica with the preset `api` on 127.0.0.1. The others follow; those of `worker`
        begin ${toString contract.replicas.most} ports later, so that another number of replicas moves nobody.
      '';
    };
  };
  # The contract's api brings its own migrations: with its surroundings, and to its own bounds.
  config.jobs = lib.mkIf (config.front != null) {
    migrate =
      let
        api = config.services.${config.front};
      in
      {
        package = lib.mkDefault api.package;
        image = lib.mkDefault api.image;
        arguments = lib.mkDefault [ "migrate" ];
        before = lib.mkDefault "start";
        environment = lib.mapAttrs (_: lib.mkDefault) api.environment;
        secrets = lib.mapAttrs (_: lib.mkDefault) api.secrets;
        secretFiles = lib.mkDefault api.secretFiles;
        allowedAddresses = lib.mkDefault api.allowedAddresses;
        limits = lib.mapAttrs (_: lib.mkDefault) api.limits;
        timeoutSeconds = lib.mkDefault contract.times.migrateSeconds;
      };
  };
}
