# services.slipway.controlPlane: Slipway's own api and worker, as a stack named slipway.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.controlPlane;
  inherit (config.services.slipway) packages;
  contract = import ../nix/contract.nix;
  externalPath = import ../nix/lib/external-path.nix { inherit lib; };
in
{
  imports = [
    ./messages.nix
    ./oidc.nix
    ./stack
  ];

  options.services.slipway.controlPlane = {
    enable = lib.mkEnableOption "a Slipway control plane: the stack `slipway`, with its database, cache and proxy";
    domain = mkOption {
      type = types.str;
      example = "deploy.example.com";
      description = "The domain name of the control plane, for agents and people.";
    };
    secretKeyFile = mkOption {
      type = externalPath;
      example = "/run/agenix/slipway-secret-key";
      description = ''
        A file outside the Nix store with 64 hex digits or more (`openssl rand -hex 32`) that seal the event chain. The same
        on every host of the control plane; keep a copy, since a chain cannot be verified without it.
      '';
    };
    earlierSecretKeysFile = mkOption {
      type = types.nullOr externalPath;
      default = null;
      example = "/run/agenix/slipway-earlier-secret-keys";
      description = ''
        A file outside the Nix store with the keys that `secretKeyFile` held before, the oldest first, separated by commas.
        They check the seals of older events; without them the audit log counts as broken after a change of the key.
      '';
    };
    adminPasswordFile = mkOption {
      type = externalPath;
      example = "/run/agenix/slipway-admin-password";
      description = "A file outside the Nix store with the password for the first `slipway login`: 12 characters or more.";
    };
  };

  config = lib.mkIf cfg.enable {
    services.slipway.stacks.slipway = {
      controlPlane = true;
      # The processes' role can add to the audit log but cannot change it.
      database.owner.role = lib.mkDefault contract.database.owner;
      database.migrations = lib.mkDefault ../crates/lib/store/migrations;
      services = {
        api = {
          preset = "api";
          package = lib.mkDefault packages.slipway-api;
        };
        worker = {
          preset = "worker";
          package = lib.mkDefault packages.slipway-worker;
        };
      };
      proxy = {
        domain = lib.mkDefault cfg.domain;
        limits.bodyMiB = lib.mkDefault contract.proxy.ownBodyMiB;
      };
      secrets = {
        SECRET_KEY = cfg.secretKeyFile;
        ADMIN_PASSWORD = cfg.adminPasswordFile;
      }
      // lib.optionalAttrs (cfg.earlierSecretKeysFile != null) {
        SECRET_KEY_EARLIER = cfg.earlierSecretKeysFile;
      };
    };
  };
}
