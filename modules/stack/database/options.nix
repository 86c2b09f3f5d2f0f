# A stack's options of its database that only a host has; those of every platform are in nix/stack/database.nix.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  server = import ./lib.nix { inherit config lib; };
  inherit (server) cluster;
  host = config;
  externalPath = import ../../../nix/lib/external-path.nix { inherit lib; };

  options =
    { config, name, ... }:
    let
      db = config.database;
    in
    {
      # Jobs before a start use the account of the role that owns the tables. Weaker than what a job sets, stronger than the
      # preset.
      options.jobs = mkOption {
        type = types.attrsOf (
          types.submodule (job: {
            config.user = lib.mkIf (job.config.before == "start" && db.enable && db.owner.role != null) (
              lib.mkOverride 900 db.owner.role
            );
          })
        );
      };
      options.database = {
        cluster = mkOption {
          type = types.bool;
          default = false;
          example = true;
          description = ''
            Whether the stack's database is in the cluster of `services.slipway.cluster`, of which this host is a client. Set
            `passwordFile`, and `owner.passwordFile` where the owner has a role. On the members the same stack has
            `database.enable`, which makes database and roles.
          '';
        };
        of = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "shop";
          description = ''
            Another stack of this host whose database this stack uses, with a role of its own. `database.rights` says what that
            role may do. The other stack owns the tables, runs the migrations and keeps the backups.
          '';
        };
        rights = mkOption {
          type = types.enum [
            "read"
            "write"
            "granted"
          ];
          default = "read";
          example = "write";
          description = ''
            What this stack's role may do in the database of `database.of`. `read`: read all tables of the schema `public`,
            present and future. `write`: change their rows as well. `granted`: what the other stack's migrations grant it.
          '';
        };
        readers = mkOption {
          type = types.listOf (types.strMatching "[a-z_][a-z0-9_-]{0,30}");
          default = [ ];
          example = [ "grafana" ];
          description = ''
            Accounts of this host, such as Grafana's, that may read the stack's database. Each connects over the socket as the
            role of its name, which is made if it is missing. It may read all tables of the schema `public`.
          '';
        };
        package = mkOption {
          type = types.package;
          default = host.services.slipway.database.package;
          defaultText = lib.literalExpression "config.services.slipway.database.package";
          example = lib.literalExpression "pkgs.postgresql_18";
          description = ''
            The programs that dump and restore, of the server's major version. This is for a server elsewhere
            (`database.host` or `urlFile`); for this host's server set `services.slipway.database.package`.
          '';
        };
        extensions = mkOption {
          type = types.functionTo (types.listOf types.package);
          default = _: [ ];
          defaultText = lib.literalExpression "_: [ ]";
          example = lib.literalExpression "packages: [ packages.pgvector ]";
          description = "Extensions to install in the server, from the packages of its version. Migrations run `CREATE EXTENSION`.";
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
      # How programs find it.
      config = lib.mkMerge [
        { database.user = lib.mkDefault config.user; }
        # By the port that leads to whichever member leads.
        (lib.mkIf db.cluster {
          requires = [ cluster.proxyUnit ];
          database = {
            host = lib.mkDefault cluster.cfg.serverName;
            port = lib.mkDefault cluster.cfg.ports.leader;
            caFile = lib.mkDefault cluster.cfg.authority;
          };
        })
        (lib.mkIf (db.enable && cluster.member) {
          requires = [
            cluster.proxyUnit
            "${name}-database.service"
          ];
          environment = {
            DATABASE_SSL_MODE = lib.mkDefault "verify-full";
            DATABASE_SSL_ROOT_CERT = lib.mkDefault "${cluster.cfg.authority}";
          };
          database = {
            address = cluster.cfg.serverName;
            port = lib.mkDefault cluster.cfg.ports.leader;
            authentication = lib.mkDefault "scram";
          };
        })
        (lib.mkIf ((db.enable || db.of != null) && !cluster.member) {
          requires = server.units ++ [ "${name}-database.service" ];
          database = {
            address = server.socket;
            # The socket's name has the port in it. Another one is refused.
            port = lib.mkDefault server.port;
            password = db.authentication == "scram";
          };
        })
        (lib.mkIf (db.of != null) {
          database = {
            enable = lib.mkDefault false;
            # Another name is refused.
            name = lib.mkDefault (server.nameOf db.of);
          };
        })
      ];
    };
in
{
  # Replicas and failover will come as `database.replicas` and `database.failover` beside these. So nothing here
  # says "primary", wal_level stays replica, and the processes find the server only through DATABASE_HOST.
  options.services.slipway.stacks = mkOption { type = types.attrsOf (types.submodule options); };
}
