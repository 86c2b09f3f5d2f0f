# What a stack asks of its database.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  server = import ./lib.nix { inherit config lib; };
  contract = import ../../../nix/contract.nix;
  host = config;
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
          default = host.services.slipway.database.package;
          defaultText = lib.literalExpression "config.services.slipway.database.package";
          example = lib.literalExpression "pkgs.postgresql_18";
          description = ''
            The programs that dump and restore, of the server's major version. For a server elsewhere (`database.urlFile`);
            that of this host is `services.slipway.database.package`.
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
          description = "The database. It belongs to `database.owner.role`, or else to the role of the stack's user. Nobody else may connect to it.";
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
            cannot open new connections. With processes on other hosts use `secondPasswordFile` to change it.
          '';
        };
        secondPasswordFile = mkOption {
          type = types.nullOr externalPath;
          default = null;
          example = "/run/agenix/shop-database-second-password";
          description = ''
            A file outside the Nix store with the password of a second login, `USER_2`, which is the role in all but its
            password. With two of them a password is changed while every host has one that works: docs/backup-and-restore.md
            has the steps. Null: the second login is shut.
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
        owner = {
          role = mkOption {
            type = types.nullOr (types.strMatching "[a-z_][a-z0-9_-]{0,30}");
            default = null;
            example = "shop-owner";
            description = ''
              A role of its own that owns the tables and that migrations run as, with a system user of that name. The
              processes' role then may do what migrations grant it; they find its name in DATABASE_PROCESS_ROLE. Tables that
              are there already change hands, and the processes keep reading and writing them until the next migration says
              otherwise. Null: the stack's own role owns everything.
            '';
          };
          passwordFile = mkOption {
            type = types.nullOr externalPath;
            default = null;
            example = "/run/agenix/shop-database-owner-password";
            description = "A file outside the Nix store with that role's password, for `scram` and for hosts that migrate over the network.";
          };
          urlFile = mkOption {
            type = types.nullOr externalPath;
            default = null;
            example = "/run/agenix/shop-database-owner-url";
            description = ''
              Beside `database.urlFile`, the connection of the role that owns the tables. Migrations get it as DATABASE_URL, and
              the stack's user as DATABASE_PROCESS_ROLE; `migrations.environment` may name another.
            '';
          };
        };
        network = {
          enable = mkOption {
            type = types.bool;
            default = false;
            example = true;
            description = ''
              Whether the server listens on the network, for the stack's processes on other hosts: on
              `services.slipway.database.network.listen`. Its port is opened on `services.slipway.network.privateInterface`,
              and nowhere else.
            '';
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
            description = "Whether connections must be encrypted, with `services.slipway.database.network.certificateFile`. False is for networks that are encrypted themselves, such as WireGuard.";
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
          }
          # The socket's name has the port in it.
          // lib.optionalAttrs (server.port != contract.ports.postgres) {
            DATABASE_PORT = toString server.port;
          };
        })
        (lib.mkIf (db.enable && db.authentication == "scram" && db.passwordFile != null) {
          secrets.DATABASE_PASSWORD = db.passwordFile;
        })
        (lib.mkIf (!db.enable && db.urlFile != null) { secrets.DATABASE_URL = db.urlFile; })
        # Migrations come as another role than the processes.
        (lib.mkIf (db.enable && db.owner.role != null) {
          migrations = {
            user = db.owner.role;
            environment = {
              DATABASE_USER = db.owner.role;
              DATABASE_PROCESS_ROLE = lib.mkDefault config.user;
            };
            secrets = lib.mkIf (db.authentication == "scram" && db.owner.passwordFile != null) {
              DATABASE_PASSWORD = db.owner.passwordFile;
            };
          };
        })
        (lib.mkIf (!db.enable && db.owner.urlFile != null) {
          migrations = {
            environment.DATABASE_PROCESS_ROLE = lib.mkDefault config.user;
            secrets.DATABASE_URL = db.owner.urlFile;
          };
        })
      ];
    };
in
{
  # Replicas and failover will come as `database.replicas` and `database.failover` beside these: nothing here says
  # "primary", wal_level stays replica, and the processes find the server through DATABASE_HOST alone.
  options.services.slipway.stacks = mkOption { type = types.attrsOf (types.submodule options); };
}
