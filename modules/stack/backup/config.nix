# /etc/slipway/backup/<stack>.json, and `slipway-backup` on the PATH with the programs of the server's own version.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  backup = import ./lib.nix { inherit config lib; };
  inherit (backup) stacks archived archive;
  cfg = config.services.postgresql;
  server = import ../database/lib.nix { inherit config lib; };
  inherit (server) cluster;
  package = config.services.slipway.packages.slipway-backup;

  programs =
    stack: "${if stack.database.enable then cfg.finalPackage else stack.database.package}/bin";
  secret = credential: path: { inherit credential path; };
  optional = condition: value: if condition then value else null;
  times = kind: {
    timeout_seconds = kind.timeoutSeconds;
    late_after_seconds = kind.lateAfterSeconds;
  };

  render =
    name: stack:
    let
      inherit (stack) database;
      inherit (stack.backup)
        dump
        offsite
        verify
        drill
        ;
    in
    lib.filterAttrsRecursive (_: value: value != null) {
      stack = name;
      state_dir = backup.folder name;
      inherit (backup) user;
      postgres_user = optional database.enable "postgres";
      database = {
        inherit (database) name;
        bin_dir = programs stack;
      }
      // (
        if database.enable then
          {
            host = server.socket;
            inherit (server) port;
            inherit (backup) user;
            admin = "postgres";
            data_dir = cfg.dataDir;
            inherit (server) unit;
          }
        else
          { url_file = secret "database-url" database.urlFile; }
      );
      cluster = optional (cluster.member && database.enable) {
        inherit (cluster.cfg) name;
        member = cluster.name;
        patroni = lib.mapAttrs (
          _: member: "https://${cluster.hostPort member.address cluster.cfg.ports.patroni}"
        ) cluster.cfg.members;
        inherit (cluster.of cluster.accounts.postgres) authority certificate key;
        inherit (cluster.defaults) operator;
        operator_password_file.path = toString cluster.cfg.operatorPasswordFile;
      };
      dump = {
        directory = backup.dumps name stack;
        keep_days = dump.keepDays;
        times = times dump;
      };
      wal = optional (archived ? ${name}) {
        config = backup.configuration;
        inherit (backup) stanza;
        # Where the files are here, they say whose archive it is.
        repository = optional (!backup.remote) archive.repository;
        full_every_days = archive.fullEveryDays;
        diff_every_days = archive.diffEveryDays;
        archive_late_after_seconds = archive.archiveLateAfterSeconds;
        times = times archive;
      };
      offsite = optional offsite.enable {
        inherit (offsite) repository;
        repository_file = lib.mapNullable (secret "restic-repository") offsite.repositoryFile;
        password_file = secret "restic-password" offsite.passwordFile;
        environment_file = lib.mapNullable (secret "restic-environment") offsite.environmentFile;
        options = offsite.extraOptions;
        # As text: a path of the flake is copied into the store, where the unit finds it.
        paths = map (path: "${path}") (
          [ (backup.dumps name stack) ]
          # One at another place is a copy elsewhere by itself.
          ++ lib.optional (archived ? ${name} && !backup.remote) archive.repository
          ++ offsite.configuration
          ++ stack.backup.paths
        );
        inherit (offsite) keep;
        read_percent = offsite.readPercent;
        times = times offsite;
      };
      verify = optional verify.enable (times verify);
      drill = optional drill.enable {
        inherit (drill) directory jobs;
        times = times drill;
      };
      exporter.listen = "127.0.0.1:${toString config.services.slipway.backup.exporter.port}";
      units = lib.mapAttrs (kind: _: "${name}-backup-${kind}.service") (backup.kinds name stack);
    };

  # With everything that it drives, so that it works from any shell.
  command = pkgs.writeShellScriptBin "slipway-backup" ''
    export PATH=${lib.makeBinPath config.services.slipway.backupPrograms}:$PATH
    exec ${package}/bin/slipway-backup "$@"
  '';
in
{
  options.services.slipway.backupPrograms = lib.mkOption {
    type = lib.types.listOf lib.types.package;
    internal = true;
    readOnly = true;
    default = [
      pkgs.pgbackrest
      pkgs.restic
      pkgs.openssh
      pkgs.util-linux
      pkgs.coreutils
      config.systemd.package
    ];
    description = "What slipway-backup drives, besides the programs of the server's own version.";
  };

  config = lib.mkIf (stacks != { }) {
    environment.systemPackages = [ command ];
    environment.etc = lib.mapAttrs' (
      name: stack:
      lib.nameValuePair "slipway/backup/${name}.json" { text = builtins.toJSON (render name stack); }
    ) stacks;
  };
}
