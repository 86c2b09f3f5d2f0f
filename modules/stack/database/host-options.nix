# services.slipway.database: the host's Postgres. Its stacks share it, so the common options are here. Adding or removing
# a stack changes none of them.
{ lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  contract = import ../../../nix/contract.nix;
  externalPath = import ../../../nix/lib/external-path.nix { inherit lib; };
in
{
  options.services.slipway.database = {
    package = mkOption {
      type = types.package;
      default = pkgs.postgresql_17;
      defaultText = lib.literalExpression "pkgs.postgresql_17";
      example = lib.literalExpression "pkgs.postgresql_18";
      description = ''
        The server, and the programs that dump and restore. Another major version cannot read the old version's data:
        see `upgradeFrom`. `services.postgresql.package` overrides this.
      '';
    };
    upgradeFrom = mkOption {
      type = types.nullOr types.package;
      default = null;
      example = lib.literalExpression "pkgs.postgresql_16";
      description = ''
        The package of the data's present major version. It puts `slipway-pg-upgrade` on the PATH, which upgrades the
        data to `package` and keeps the old data. Set it to null afterwards.
      '';
    };
    maxConnections = mkOption {
      type = types.ints.between 20 10000;
      default = contract.database.maxConnections;
      example = 900;
      description = ''
        The most connections of the server. The pools of all stacks here must fit into it, with one more for each
        stand-in and 20 connections for people and backups. The build says when they do not. Add those of processes
        on other hosts and of the host's own programs. Another number restarts the server.
      '';
    };
    memoryMiB = mkOption {
      type = types.nullOr (types.ints.between 128 4194304);
      default = null;
      example = 4096;
      description = ''
        Memory in MiB for the server. Null means half of the host's memory, read at boot. docs/backup-and-restore.md
        has the formula. This sets buffers and limits of queries; it is not a hard limit of the process.
      '';
    };
    settings = mkOption {
      type = types.attrsOf (
        types.oneOf [
          types.bool
          types.int
          types.float
          types.str
        ]
      );
      default = { };
      example = {
        log_min_duration_statement = 500;
      };
      description = "More settings of the server (postgresql.conf). They win over what this module sets.";
    };
    network = {
      listen = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "10.0.0.5" ];
        description = "The host's own addresses to listen on, once a stack has `database.network.enable`. Name the private one.";
      };
      certificateFile = mkOption {
        type = types.nullOr externalPath;
        default = null;
        example = "/var/lib/acme/db.example.com/fullchain.pem";
        description = ''
          The server's certificate chain, PEM, for stacks with `database.network.tls`. When the file changes, as after a
          renewal, the server takes the new one without a restart.
        '';
      };
      keyFile = mkOption {
        type = types.nullOr externalPath;
        default = null;
        example = "/var/lib/acme/db.example.com/key.pem";
        description = "The certificate's key, PEM, readable by root. Only the server's account gets it.";
      };
    };
  };
}
