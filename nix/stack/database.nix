# The database of a stack, as far as every platform has it.
{
  config,
  lib,
  name,
  ...
}:
let
  inherit (lib) mkOption types;
  contract = import ../contract.nix;
  externalPath = import ../lib/external-path.nix { inherit lib; };
  values = import ./values.nix { inherit lib; };
  inherit (import ./backing.nix { inherit lib; }) expected internal secretFile;
  inherit (config) database;

  # The names of a folder's migrations, the oldest first.
  migrationsOf =
    folder:
    let
      isMigration =
        file: type: type == "regular" && lib.hasSuffix ".sql" file && !lib.hasSuffix ".down.sql" file;
    in
    map (lib.removeSuffix ".sql") (
      lib.attrNames (lib.filterAttrs isMigration (builtins.readDir folder))
    );

  # Servers whose place is said in the description, and not by the platform.
  elsewhere = database.host != null || database.urlFile != null;

  # What a program may hold open at once.
  connections =
    default: defaultText:
    mkOption {
      type = types.ints.unsigned;
      inherit default;
      defaultText = lib.literalMD defaultText;
      example = 30;
      description = "The most connections to the database that one process opens. `services.slipway.database.maxConnections` must have room for all.";
    };
  pool =
    program:
    let
      environment = values.environment config program;
      size = name: default: if environment ? ${name} then number environment.${name} else default;
      number = text: if builtins.match "[0-9]{1,5}" text != null then lib.toIntBase10 text else 0;
    in
    if program.preset != null || environment ? DATABASE_POOL_SIZE then
      size "DATABASE_POOL_SIZE" contract.database.poolSize
      + size "DATABASE_MAX_OVERFLOW" (if program.preset == null then 0 else contract.database.maxOverflow)
    else
      10;
in
{
  options = {
    services = mkOption {
      type = types.attrsOf (
        types.submodule (
          { config, ... }:
          {
            options.connections = connections (pool config) "the pool and its overflow with a preset or DATABASE_POOL_SIZE, else 10";
          }
        )
      );
    };
    jobs = mkOption {
      type = types.attrsOf (
        types.submodule (job: {
          options.connections = connections 2 "2";
          # Jobs before a start come as the role that owns the tables: weaker than what a job sets, stronger than the preset.
          config = lib.mkIf (job.config.before == "start") {
            environment = lib.mapAttrs (_: lib.mkOverride 900) database.ownerVariables;
            secrets = lib.mapAttrs (_: lib.mkOverride 900) database.ownerSecrets;
          };
        })
      );
    };
    database = {
      enable = mkOption {
        type = types.bool;
        default = expected config && database.urlFile == null && database.host == null;
        defaultText = lib.literalMD "true where a service has a preset, unless `database.host`, `database.urlFile` or `database.of` names another one";
        example = false;
        description = ''
          Whether the stack's database is in a Postgres on this host. A host has one server, which its stacks share; each
          has its own role and database. False without a server elsewhere means that the stack has no database.
        '';
      };
      name = mkOption {
        type = types.strMatching "[A-Za-z_][A-Za-z0-9_-]{0,47}";
        default = name;
        defaultText = lib.literalMD "the stack's name";
        example = "shop";
        description = "The database. It belongs to `database.owner.role`, or else to the stack's role. Nobody but backups and those that are named may connect to it.";
      };
      user = mkOption {
        type = types.strMatching "[A-Za-z_][A-Za-z0-9_@.-]{0,62}";
        default = name;
        defaultText = lib.literalMD "the stack's `user`";
        example = "shop-app";
        description = "The role that services log in as. On this host's own server it is always the stack's `user`.";
      };
      passwordFile = secretFile "/run/agenix/shop-database-password" ''
        A file outside the Nix store with the role's password, for `scram`, for a server elsewhere (`database.host`) and for
        hosts that connect over the network. `<stack>-roll.service` sets a changed password for the role and then restarts
        the replicas; before its restart, a replica cannot open new connections. With processes on other hosts use
        `secondPasswordFile` to change it.
      '';
      host = mkOption {
        type = types.nullOr (types.strMatching "[A-Za-z0-9:._-]+");
        default = null;
        example = "shop.db.example.net";
        description = ''
          The name or address of a Postgres elsewhere, such as a managed one, with `database.port`, `name`, `user` and
          `passwordFile`. Connections are encrypted, and its certificate must be for this name.
        '';
      };
      port = mkOption {
        type = types.port;
        default = contract.ports.postgres;
        example = 25060;
        description = "The port of `database.host`. This host's own server has `services.postgresql.settings.port`.";
      };
      caFile = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = lib.literalExpression "./managed-database-ca.pem";
        description = ''
          A PEM file with the authority that the certificate of the server elsewhere must come from. Null: the system's
          authorities for `database.host`, and what the address says for `database.urlFile`. It is not secret.
        '';
      };
      urlFile = secretFile "/run/agenix/shop-database-url" ''
        A file outside the Nix store with `postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=verify-full`, for a server
        elsewhere. Services get it as the secret DATABASE_URL.
      '';
      migrations = mkOption {
        type = types.coercedTo types.path migrationsOf (types.listOf types.str);
        default = [ ];
        example = lib.literalExpression "./crates/shop/migrations";
        description = ''
          The migrations that the programs bring, the oldest first: names, or the folder with their `.sql` files. The plan of a
          rollout then names those that the database has not had. Nothing runs by it.
        '';
      };
      owner = {
        role = mkOption {
          type = types.nullOr (types.strMatching "[a-z_][a-z0-9_-]{0,30}");
          default = null;
          example = "shop-owner";
          description = ''
            A separate role that owns the tables, with a system user of that name. Jobs before a start, such as migrations,
            come as this role. The services' role then has the rights that migrations grant it; they find its name in
            DATABASE_PROCESS_ROLE. Existing tables get the new owner, and the services can still read and write them until
            the next migration changes that. Null: the stack's own role owns everything.
          '';
        };
        passwordFile = secretFile "/run/agenix/shop-database-owner-password" "A file outside the Nix store with that role's password, for `scram`, `database.host` and hosts that migrate over the network.";
        urlFile = secretFile "/run/agenix/shop-database-owner-url" ''
          Beside `database.urlFile`, the connection of the role that owns the tables. Migrations get it as DATABASE_URL, and
          `database.user` as DATABASE_PROCESS_ROLE.
        '';
      };
      address =
        internal (types.nullOr types.str) database.host
          "Where services find the server: a name, an address, or the folder of its socket.";
      connections = internal types.ints.unsigned (lib.foldl' lib.add 0 (
        map (
          service:
          service.connections
          # A rolling restart has one more.
          * (
            if service.replicas > 0 && service.rolling == "stand-in" then
              service.replicas + 1
            else
              service.replicas
          )
        ) (lib.attrValues config.services)
        ++ map (job: job.connections) (lib.attrValues config.jobs)
      )) "The most connections of all programs together.";
      password =
        internal types.bool true
          "Whether the roles log in with their passwords. False is for a socket that knows the account.";
      ownerVariables =
        internal (types.attrsOf types.str) { }
          "Variables of programs that come as the owner, over those of the stack.";
      ownerSecrets =
        internal (types.attrsOf externalPath) { }
          "Secrets of programs that come as the owner, over those of the stack.";
    };
  };

  config = {
    environment = lib.mkMerge [
      (lib.mkIf (database.address != null && database.urlFile == null) (
        {
          DATABASE_HOST = lib.mkDefault database.address;
          DATABASE_NAME = lib.mkDefault database.name;
          DATABASE_USER = lib.mkDefault database.user;
        }
        // lib.optionalAttrs (database.port != contract.ports.postgres) {
          DATABASE_PORT = lib.mkDefault (toString database.port);
        }
      ))
      (lib.mkIf (database.host != null || elsewhere && database.caFile != null) (
        {
          DATABASE_SSL_MODE = lib.mkDefault "verify-full";
        }
        // lib.optionalAttrs (database.caFile != null) {
          DATABASE_SSL_ROOT_CERT = lib.mkDefault "${database.caFile}";
        }
      ))
    ];
    secrets = lib.mkMerge [
      (lib.mkIf (database.address != null && database.password && database.passwordFile != null) {
        DATABASE_PASSWORD = lib.mkDefault database.passwordFile;
      })
      (lib.mkIf (!database.enable && database.urlFile != null) {
        DATABASE_URL = lib.mkDefault database.urlFile;
      })
    ];
    assertions = [
      {
        assertion = !(database.enable && (database.host != null || database.urlFile != null));
        message = "database.enable is set beside ${
          if database.host != null then "database.host" else "database.urlFile"
        }, so it is not clear which server is meant: leave one out.";
      }
      {
        assertion = database.host == null || database.urlFile == null;
        message = "database.host and database.urlFile both name a server: leave one out.";
      }
      {
        assertion = database.host == null || database.passwordFile != null;
        message = "database.host is set and database.passwordFile is not: name a file outside the Nix store with the role's password.";
      }
      {
        assertion =
          database.host == null || database.owner.role == null || database.owner.passwordFile != null;
        message = "database.host and database.owner.role are set and database.owner.passwordFile is not: name a file with that role's password.";
      }
      {
        assertion = database.caFile == null || elsewhere;
        message = "database.caFile is for a server elsewhere: set database.host or database.urlFile, or leave it out.";
      }
      {
        assertion = database.owner.urlFile == null || database.urlFile != null;
        message = "database.owner.urlFile is for a server elsewhere, beside database.urlFile; otherwise name database.owner.role.";
      }
    ];
    database = {
      ownerVariables = lib.mkIf (database.address != null || database.urlFile != null) (
        if database.urlFile != null then
          lib.optionalAttrs (database.owner.urlFile != null) { DATABASE_PROCESS_ROLE = database.user; }
        else
          lib.optionalAttrs (database.owner.role != null) {
            DATABASE_USER = database.owner.role;
            DATABASE_PROCESS_ROLE = database.user;
          }
      );
      ownerSecrets = lib.mkIf (database.address != null || database.urlFile != null) (
        if database.urlFile != null then
          lib.optionalAttrs (database.owner.urlFile != null) { DATABASE_URL = database.owner.urlFile; }
        else
          lib.optionalAttrs
            (database.password && database.owner.role != null && database.owner.passwordFile != null)
            {
              DATABASE_PASSWORD = database.owner.passwordFile;
            }
      );
    };
  };
}
