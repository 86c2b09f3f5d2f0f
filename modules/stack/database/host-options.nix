# services.slipway.database: the host's Postgres. Its stacks share it, so what is one for all of them is said here, once,
# and no stack's coming or going changes it.
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
        The server, and the programs that dump and restore. Another major version does not read the data of the old one:
        see `upgradeFrom`. What `services.postgresql.package` says goes before it.
      '';
    };
    upgradeFrom = mkOption {
      type = types.nullOr types.package;
      default = null;
      example = lib.literalExpression "pkgs.postgresql_16";
      description = ''
        The package of the major version that the data still has. Puts `slipway-pg-upgrade` on the PATH, which takes the
        data to `package` and keeps the old ones. Null once that is done.
      '';
    };
    maxConnections = mkOption {
      type = types.ints.between 20 10000;
      default = contract.database.maxConnections;
      example = 900;
      description = ''
        Connections of the server at most. Every process of every stack may open its pool and its overflow (30 with the
        defaults); people and backups need some as well.
      '';
    };
    memoryMiB = mkOption {
      type = types.nullOr (types.ints.between 128 4194304);
      default = null;
      example = 4096;
      description = ''
        Memory in MiB that the server is sized for. Null: half of what the host has, looked up when the host boots.
        docs/backup-and-restore.md has the formula. This sets buffers and limits of queries; it is no hard limit of the
        process.
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
        description = "The certificate's key, PEM, readable by root. It is given on to the server's account alone.";
      };
    };
  };
}
