# What a stack asks of its database.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  server = import ./lib.nix { inherit config lib; };
  contract = import ../../../nix/contract.nix;
  externalPath = import ../../../nix/lib/external-path.nix { inherit lib; };

  options =
    { config, name, ... }:
    let
      db = config.database;
    in
    {
      options.database = {
        enable = mkOption {
          type = types.bool;
          default = config.database.urlFile == null;
          defaultText = lib.literalMD "true unless `database.urlFile` names a server elsewhere";
          example = false;
          description = ''
            Whether the stack's database is in a Postgres on this host. The server is one a host: stacks share it, each with
            a role and a database of its own.
          '';
        };
        package = mkOption {
          type = types.package;
          default = pkgs.postgresql_17;
          defaultText = lib.literalExpression "pkgs.postgresql_17";
          example = lib.literalExpression "pkgs.postgresql_18";
          description = ''
            The server, and the programs that dump and restore. All stacks of a host name the same one. Another major version
            does not read the data of the old one: see `database.upgradeFrom`.
          '';
        };
        extensions = mkOption {
          type = types.functionTo (types.listOf types.package);
          default = _: [ ];
          defaultText = lib.literalExpression "_: [ ]";
          example = lib.literalExpression "packages: [ packages.pgvector ]";
          description = "Extensions to install in the server, from the packages of its version. `CREATE EXTENSION` is the migrations' part.";
        };
        name = mkOption {
          type = types.strMatching "[A-Za-z_][A-Za-z0-9_-]{0,47}";
          default = name;
          defaultText = lib.literalMD "the stack's name";
          example = "shop";
          description = "The database. It belongs to the role of the stack's user, and nobody else may connect to it.";
        };
        authentication = mkOption {
          type = types.enum [
            "peer"
            "scram"
          ];
          default = "peer";
          example = "scram";
          description = ''
            How the role proves itself on the Unix socket: `peer`, by the account of the process, without a password; or
            `scram`, by the password of `database.passwordFile`. Over the network it always is scram. Changing it on a stack
            that runs interrupts it: until a replica is restarted, it cannot open connections.
          '';
        };
        passwordFile = mkOption {
          type = types.nullOr externalPath;
          default = null;
          example = "/run/agenix/shop-database-password";
          description = ''
            A file outside the Nix store with the role's password, for `scram` and for hosts that connect over the network.
            `<stack>-roll.service` gives the role a changed one and then restarts the replicas; until its turn, a replica
            cannot open new connections.
          '';
        };
        urlFile = mkOption {
          type = types.nullOr externalPath;
          default = null;
          example = "/run/agenix/shop-database-url";
          description = ''
            A file outside the Nix store with `postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=verify-full`, for a server
            elsewhere. The processes get it as the secret DATABASE_URL.
          '';
        };
        maxConnections = mkOption {
          type = types.ints.between 20 10000;
          default = contract.database.maxConnections;
          example = 200;
          description = ''
            Connections of the server at most. Every process may open its pool and its overflow (30 with the defaults); people
            and backups need some as well. The largest number among the host's stacks counts.
          '';
        };
        memoryMiB = mkOption {
          type = types.nullOr (types.ints.between 128 4194304);
          default = null;
          example = 4096;
          description = ''
            Memory in MiB that the server is sized for; those of the host's stacks add up. Null: half of what the host has,
            looked up when the host boots. docs/backup-and-restore.md has the formula. This sets buffers and limits of
            queries; it is no hard limit of the process.
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
        upgradeFrom = mkOption {
          type = types.nullOr types.package;
          default = null;
          example = lib.literalExpression "pkgs.postgresql_16";
          description = ''
            The package of the major version that the data still has. Puts `slipway-pg-upgrade` on the PATH, which takes the
            data to `database.package` and keeps the old ones. Null once that is done.
          '';
        };
        network = {
          enable = mkOption {
            type = types.bool;
            default = false;
            example = true;
            description = "Whether the server listens on the network, for the stack's processes on other hosts.";
          };
          listen = mkOption {
            type = types.listOf types.str;
            default = [ ];
            example = [ "10.0.0.5" ];
            description = "The host's own addresses to listen on. Name the private one; opening the firewall is modules/network.nix's part.";
          };
          addresses = mkOption {
            type = types.listOf types.str;
            default = [ ];
            example = [ "10.0.0.0/24" ];
            description = "Networks, in CIDR form, from which the stack's role may connect. Nobody else gets as far as a password.";
          };
          tls = mkOption {
            type = types.bool;
            default = true;
            example = false;
            description = "Whether connections must be encrypted. False is for networks that are encrypted themselves, such as WireGuard.";
          };
          certificateFile = mkOption {
            type = types.nullOr externalPath;
            default = null;
            example = "/var/lib/acme/db.example.com/fullchain.pem";
            description = "The server's certificate chain, PEM. Read when the server starts.";
          };
          keyFile = mkOption {
            type = types.nullOr externalPath;
            default = null;
            example = "/var/lib/acme/db.example.com/key.pem";
            description = "The certificate's key, PEM, readable by root. The server gets it as a systemd credential.";
          };
        };
      };
      # How processes find it.
      config = lib.mkMerge [
        (lib.mkIf db.enable {
          requires = server.units ++ [ "${name}-database.service" ];
          environment = {
            DATABASE_HOST = server.socket;
            DATABASE_NAME = db.name;
            DATABASE_USER = config.user;
          };
        })
        (lib.mkIf (db.enable && db.authentication == "scram" && db.passwordFile != null) {
          secrets.DATABASE_PASSWORD = db.passwordFile;
        })
        (lib.mkIf (!db.enable && db.urlFile != null) { secrets.DATABASE_URL = db.urlFile; })
      ];
    };
in
{
  # Replicas and failover will come as `database.replicas` and `database.failover` beside these: nothing here says
  # "primary", wal_level stays replica, and the processes find the server through DATABASE_HOST alone.
  options.services.slipway.stacks = mkOption { type = types.attrsOf (types.submodule options); };
}
