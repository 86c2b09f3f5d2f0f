# General options of a stack: its account, environment and secrets. Programs and replicas are in processes.nix.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;

  reserved = import ./reserved.nix;
  externalPath = import ../../nix/lib/external-path.nix { inherit lib; };

  stackOptions =
    { name, ... }:
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          example = false;
          description = "Whether to run this stack. A stack that is switched off is stopped; its data stays.";
        };
        user = mkOption {
          type = types.str;
          default = name;
          defaultText = lib.literalMD "the stack's name";
          example = "shop";
          description = "The system user that api, worker and migrations run as. It is created.";
        };
        group = mkOption {
          type = types.str;
          default = name;
          defaultText = lib.literalMD "the stack's name";
          example = "shop";
          description = "The group of that user. It is created.";
        };
        environment = mkOption {
          type = types.attrsOf types.str;
          default = { };
          defaultText = lib.literalMD "`APP_ENV`, and what tells the processes where database and cache are";
          example = {
            LOG_LEVEL = "info,shop=debug";
          };
          description = ''
            Environment variables of api, worker and migrations. They are readable by every user of the host and end up in
            the Nix store: secrets belong into `secrets`.
          '';
        };
        secrets = mkOption {
          type = types.attrsOf externalPath;
          default = { };
          defaultText = lib.literalMD "those that database and cache need, such as `REDIS_PASSWORD`";
          example = {
            SECRET_KEY = "/run/agenix/shop-secret-key";
          };
          description = ''
            Secrets of api, worker and migrations: name to a file outside the Nix store that root can read. Each becomes a
            systemd credential of that name, which only the stack's own processes see. A unit whose file is missing does not
            start, and says which.
          '';
        };
        requires = mkOption {
          type = types.listOf types.str;
          default = [ ];
          internal = true;
          description = "Units that processes and migrations are started after and pull in, without failing with them.";
        };
        units = mkOption {
          type = types.listOf types.str;
          internal = true;
          readOnly = true;
          description = "The units of the stack's processes.";
        };
      };
    };
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule stackOptions);
    default = { };
    description = "Stacks of this host by name: pairs of an api and a worker with what they need around them.";
  };

  config = lib.mkIf (stacks != { }) {
    users = lib.mkMerge (
      # Assertions refuse accounts that belong to others.
      lib.concatMap (
        stack:
        map
          (
            user:
            lib.optionalAttrs (!lib.elem user reserved.users) {
              users.${user} = {
                isSystemUser = true;
                inherit (stack) group;
              };
              groups.${stack.group} = { };
            }
          )
          (
            lib.unique [
              stack.user
              stack.migrations.user
            ]
          )
      ) (lib.attrValues stacks)
    );
  };
}
