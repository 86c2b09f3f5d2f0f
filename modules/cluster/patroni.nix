# Patroni and Postgres of a member, with the settings, rules and packages of services.slipway.database and the stacks. The unit
# is ours and not nixpkgs': that one restarts Postgres for each setting, and its secrets are files that Postgres' account can
# read.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cluster = import ./lib.nix { inherit config lib; };
  database = import ../stack/database/lib.nix { inherit config lib; };
  inherit (cluster) cfg;
  account = cluster.accounts.postgres;
  postgres = config.services.postgresql;
  hardening = import ../../nix/lib/hardening.nix;
  backup = import ../stack/backup/lib.nix { inherit config lib; };
  archives = config.services.slipway.backup.archive.enable or false;
  yaml = import ../../nix/lib/yaml.nix;
  builtinLocale = lib.toInt (lib.versions.major postgres.package.version) >= 17;

  # What Patroni says itself, and what is in its own place.
  settings = lib.filterAttrs (_: value: value != null) (
    removeAttrs postgres.settings [
      "hba_file"
      "ident_file"
      "include_if_exists"
      "listen_addresses"
      "port"
    ]
  );
  lines = text: lib.filter (line: line != "") (lib.splitString "\n" text);
  configuration = (import ../../nix/cluster).patroni (
    cluster.common
    // {
      files = cluster.of account // {
        data = postgres.dataDir;
        pgpass = "/run/slipway-patroni/pgpass";
        inherit (database) socket;
        programs = "${postgres.finalPackage}/bin";
      };
      settings = removeAttrs settings [
        "archive_command"
        "archive_mode"
        "restore_command"
      ];
      hba = lines postgres.authentication;
      identities = lines postgres.identMap;
      archive =
        if postgres.settings ? archive_command then
          {
            push = postgres.settings.archive_command;
            get =
              postgres.settings.restore_command
                or (lib.replaceStrings [ "archive-push %p" ] [ "archive-get %f %p" ]
                  postgres.settings.archive_command
                );
          }
        else
          null;
      initdb = [
        "data-checksums"
        { encoding = "UTF8"; }
      ]
      ++ (
        if builtinLocale then
          # Sorted by Postgres itself: a new libc never puts the order of an index out of date.
          [
            "no-locale"
            { locale-provider = "builtin"; }
            { builtin-locale = "C.UTF-8"; }
          ]
        else
          [ { locale = "C"; } ]
      );
    }
  );
  file = yaml.document (
    lib.recursiveUpdate configuration {
      postgresql = {
        # Instead of what a server of this host alone left in its data folder.
        custom_conf = "/etc/slipway/cluster-base.conf";
        callbacks = lib.genAttrs [
          "on_role_change"
          "on_start"
        ] (_: "${roleChanged}");
      };
    }
  );
  # setup.nix waits for it.
  roleChanged = pkgs.writeShellScript "slipway-cluster-role-changed" ''
    # The action, the role and the scope.
    echo "$2" > /run/slipway-patroni/role
  '';
  start = import ../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-patroni-start";
    runtimeInputs = [ pkgs.coreutils ];
    runtimeEnv = {
      DATA = postgres.dataDir;
      KEY = (cluster.of account).key;
      OPTION = "services.slipway.cluster";
      PATRONI = lib.getExe' pkgs.patroni "patroni";
    };
    text = builtins.readFile ./patroni.sh;
  };
in
{
  config = lib.mkIf cluster.member {
    environment.etc = {
      "slipway/patroni.yaml".text = file;
      "slipway/cluster-base.conf".text = lib.concatStrings (
        lib.mapAttrsToList (name: value: "${name} '${toString value}'\n") (
          lib.filterAttrs (name: value: name == "include_if_exists" && value != null) postgres.settings
        )
      );
    };
    # nixpkgs says where only for a server that it runs; the data of one that it ran are taken over.
    services.postgresql.dataDir = lib.mkDefault "/var/lib/postgresql/${postgres.package.psqlSchema}";
    users.users.postgres = {
      name = account;
      uid = config.ids.uids.postgres;
      group = account;
      description = "PostgreSQL server user";
      home = dirOf postgres.dataDir;
      useDefaultShell = true;
    };
    users.groups.postgres.gid = config.ids.gids.postgres;
    environment.systemPackages = [ postgres.finalPackage ];
    boot.kernelModules = lib.mkIf (cfg.watchdog != "off") [ "softdog" ];
    services.udev.extraRules = lib.mkIf (cfg.watchdog != "off") ''
      KERNEL=="watchdog", OWNER="${account}", GROUP="${account}", MODE="0600"
    '';

    systemd.services.slipway-patroni = {
      description = "Postgres of the cluster ${cfg.name}";
      wantedBy = [ "multi-user.target" ];
      # Without the certificate it tries again until it is there.
      wants = [
        "network-online.target"
        "slipway-cluster-certificate.service"
        "slipway-etcd.service"
      ];
      after = [
        "network-online.target"
        "slipway-cluster-certificate.service"
        "slipway-etcd.service"
      ];
      path = [
        pkgs.coreutils
        postgres.finalPackage
      ];
      reloadTriggers = [ config.environment.etc."slipway/patroni.yaml".source ];
      restartTriggers = [ postgres.finalPackage ];
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig =
        hardening {
          # It starts pgBackRest, whose repository may have any address.
          addresses =
            lib.optional (archives && backup.remote) "any"
            ++ cluster.clients
            ++ [ "localhost" ]
            ++ lib.concatMap (stack: stack.database.network.addresses) (lib.attrValues database.networked);
          # Patroni asks when the host booted.
          kernelFacts = true;
        }
        // {
          Type = "exec";
          ExecStart = lib.getExe start;
          ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
          User = account;
          Group = account;
          # Accounts of other programs come over the socket, and the server must know them.
          PrivateUsers = false;
          PrivateDevices = cfg.watchdog == "off";
          DeviceAllow = lib.mkIf (cfg.watchdog != "off") [ "/dev/watchdog rw" ];
          LoadCredential = [
            "replication:${toString cfg.replicationPasswordFile}"
            "rewind:${toString cfg.rewindPasswordFile}"
            "operator:${toString cfg.operatorPasswordFile}"
          ];
          StateDirectory = [
            "postgresql"
            "postgresql/${postgres.package.psqlSchema}"
          ];
          StateDirectoryMode = "0750";
          RuntimeDirectory = [
            "postgresql"
            "slipway-patroni"
          ];
          RuntimeDirectoryMode = "0755";
          # Postgres goes on when Patroni ends by itself; the next one finds it.
          RuntimeDirectoryPreserve = true;
          KillMode = "process";
          # It stops Postgres, whose last checkpoint takes its time.
          TimeoutStopSec = "10min";
          Restart = "always";
          RestartSec = 1;
          OOMScoreAdjust = -500;
        };
    };
  };
}
