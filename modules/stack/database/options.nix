# A stack's options of its database.
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
      # Migrations use another role than the services.
      options.jobs = mkOption {
        type = types.attrsOf (
          types.submodule (
            { name, ... }:
            {
              config = lib.mkIf (name == "migrate") (
                lib.mkMerge [
                  (lib.mkIf (db.enable && db.owner.role != null) {
                    user = lib.mkDefault db.owner.role;
                    environment = {
                      DATABASE_USER = db.owner.role;
                      DATABASE_PROCESS_ROLE = lib.mkOverride 900 config.user;
                    };
                    secrets = lib.mkIf (db.authentication == "scram" && db.owner.passwordFile != null) {
                      DATABASE_PASSWORD = db.owner.passwordFile;
                    };
                  })
                  (lib.mkIf (!db.enable && db.owner.urlFile != null) {
                    environment.DATABASE_PROCESS_ROLE = lib.mkOverride 900 config.user;
                    secrets.DATABASE_URL = db.owner.urlFile;
                  })
                ]
              );
            }
          )
        );
      };
      options.database = {
        enable = mkOption {
          type = types.bool;
          default = config.database.urlFile == null;
          defaultText = lib.literalMD "true unless `database.urlFile` names a server elsewhere";
          example = false;
          description = ''
            Whether the stack's database is in a Postgres on this host. A host has one server, which its stacks share; each
            has its own role and database.
          '';
        };
        package = mkOption {
          type = types.package;
          default = host.services.slipway.database.package;
          defaultText = lib.literalExpression "config.services.slipway.database.package";
          example = lib.literalExpression "pkgs.postgresql_18";
          description = ''
            The programs that dump and restore, of the server's major version. This is for a server elsewhere
            (`database.urlFile`); for this host's server set `services.slipway.database.package`.
          '';
        };
        extensions = mkOption {
          type = types.functionTo (types.listOf types.package);
          default = _: [ ];
          defaultText = lib.literalExpression "_: [ ]";
          example = lib.literalExpression "packages: [ packages.pgvector ]";
          description = "Extensions to install in the server, from the packages of its version. Migrations run `CREATE EXTENSION`.";
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
            How the role logs in on the Unix socket. `peer` uses the account of the process, without a password. `scram`
            uses the password of `database.passwordFile`. Over the network it is always scram. A change interrupts a running
            stack: a replica cannot open connections until it is restarted.
          '';
        };
        passwordFile = mkOption {
          type = types.nullOr externalPath;
          default = null;
          example = "/run/agenix/shop-database-password";
          description = ''
            A file outside the Nix store with the role's password, for `scram` and for hosts that connect over the network.
            `<stack>-roll.service` sets a changed password for the role and then restarts the replicas; before its restart,
            a replica cannot open new connections. With processes on other hosts use `secondPasswordFile` to change it.
          '';
        };
        secondPasswordFile = mkOption {
          type = types.nullOr externalPath;
          default = null;
          example = "/run/agenix/shop-database-second-password";
          description = ''
            A file outside the Nix store with the password of a second login, `USER_2`, which differs from the role only in
            its password. With two logins every host has a working password during a change: docs/backup-and-restore.md has
            the steps. Null: the second login is shut.
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
              A separate role that owns the tables and runs migrations, with a system user of that name. The processes' role
              then has the rights that migrations grant it; they find its name in DATABASE_PROCESS_ROLE. Existing tables get
              the new owner, and the processes can still read and write them until the next migration changes that. Null:
              the stack's own role owns everything.
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
              the stack's user as DATABASE_PROCESS_ROLE; `jobs.migrate.environment` may name another.
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
            description = "Networks, in CIDR form, from which the stack's role may connect. The server refuses others before it asks for a password.";
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
        (lib.mkIf (!db.enable && db.urlFile != null) {
          secrets.DATABASE_URL = db.urlFile;
          # The server has some address.
          allowedAddresses = lib.mkDefault [ "any" ];
        })
      ];
    };
in
{
  # Replicas and failover will come as `database.replicas` and `database.failover` beside these. So nothing here
  # says "primary", wal_level stays replica, and the processes find the server only through DATABASE_HOST.
  options.services.slipway.stacks = mkOption { type = types.attrsOf (types.submodule options); };
}
