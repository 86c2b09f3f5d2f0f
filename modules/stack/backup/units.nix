# The scheduled work: one unit and one timer a kind, with low CPU and disk priority and only the rights that it
# needs.
{ config, lib, ... }:
let
  backup = import ./lib.nix { inherit config lib; };
  inherit (backup) stacks archived archive;
  package = config.services.slipway.packages.slipway-backup;
  hardening = import ../../../nix/lib/hardening.nix;
  inherit (import ../database/lib.nix { inherit config lib; }) cluster;

  credentials =
    stack:
    let
      inherit (stack.backup) offsite;
      all = {
        restic-repository = if offsite.enable then offsite.repositoryFile else null;
        restic-password = if offsite.enable then offsite.passwordFile else null;
        restic-environment = if offsite.enable then offsite.environmentFile else null;
        database-url = if stack.database.enable then null else stack.database.urlFile;
      };
    in
    lib.mapAttrsToList (name: path: "${name}:${path}") (lib.filterAttrs (_: path: path != null) all);

  writable =
    name: stack:
    [
      (backup.folder name)
      (backup.dumps name stack)
    ]
    ++ lib.optional (stack.backup.drill.directory != null) stack.backup.drill.directory;

  # Kinds that copy elsewhere, or read the copies.
  copies = stack: kind: stack.backup.offsite.enable && (kind == "offsite" || kind == "verify");

  secrets = lib.optional (archived != { } && archive.secretsFile != null) "slipway-archive.service";

  # Common to all units of a stack's backups.
  common = stack: {
    path = config.services.slipway.backupPrograms;
    after = [ "network.target" ] ++ stack.requires ++ secrets;
    wants = stack.requires ++ secrets;
    # A running backup goes on during a switch; the next one uses the new generation.
    restartIfChanged = false;
  };

  service =
    name: stack: kind: work:
    let
      server = work.user == "postgres";
      folder = lib.optionals (copies stack kind) (backup.copyFolder stack);
      away = copies stack kind && folder == [ ] || !stack.database.enable;
      # The archive of a cluster is at another place, and each member asks the others who leads.
      ofArchive =
        archived ? ${name}
        && backup.remote
        && lib.elem kind [
          "wal-base"
          "verify"
          "drill"
        ];
      copied = map toString (stack.backup.paths ++ stack.backup.offsite.configuration);
      # Their files are of other accounts.
      readsAll = kind == "offsite" && stack.backup.paths != [ ];
    in
    lib.recursiveUpdate (common stack) {
      description = "${name}: ${work.what}";
      unitConfig.RequiresMountsFor = writable name stack ++ folder;
      serviceConfig =
        hardening {
          # Copies and external servers may have any address; everything else uses the server's
          # socket.
          addresses = if away || ofArchive then [ "any" ] else lib.optionals cluster.member cluster.addresses;
          writable =
            writable name stack
            ++ folder
            ++ lib.optionals server [
              archive.repository
              "/var/log/pgbackrest"
            ];
          # Postgres of a drill asks for the memory that it may use.
          kernelFacts = kind == "drill";
        }
        // lib.optionalAttrs (kind == "offsite" && lib.any backup.isHome copied) {
          ProtectHome = "read-only";
        }
        // lib.optionalAttrs readsAll {
          AmbientCapabilities = "CAP_DAC_READ_SEARCH";
          CapabilityBoundingSet = "CAP_DAC_READ_SEARCH";
          # A capability counts in no namespace of users.
          PrivateUsers = false;
          # What such a right must not reach.
          InaccessiblePaths = [
            "-/etc/ssh"
            "-/etc/shadow"
            "-/run/agenix"
            "-/run/agenix.d"
            "-/run/secrets"
            "-/run/secrets.d"
            "-/run/slipway-cache"
          ];
        }
        // {
          Type = "oneshot";
          ExecStart = "${package}/bin/slipway-backup --stack ${name} ${work.command} --here";
          User = work.user;
          Group = work.user;
          # Records and dumps are for both accounts of the backups, and for nobody else.
          UMask = "0007";
          SupplementaryGroups =
            if server then [ backup.user ] else lib.optional (archived ? ${name}) "postgres";
          LoadCredential = lib.optionals (kind != "wal-base") (credentials stack);
          CacheDirectory = lib.mkIf (away || copies stack kind) "slipway-backup/${name}-${kind}";
          CacheDirectoryMode = "0700";
          # The program bounds itself and says why; this is for a program that hangs.
          TimeoutStartSec = work.timeoutSeconds + 3 * 60 * 60;
          TimeoutStopSec = 30;
          CPUWeight = 20;
          IOWeight = 20;
          Nice = 10;
          IOSchedulingClass = "best-effort";
          IOSchedulingPriority = 7;
          TasksMax = 256;
          # When memory runs out, the kernel kills a backup first.
          OOMScoreAdjust = 500;
        };
    };

  timer = name: _: kind: work: {
    description = "${name}: ${work.what}, on its schedule";
    wantedBy = [ "timers.target" ];
    timerConfig = {
      OnCalendar = work.schedule;
      Persistent = true;
      RandomizedDelaySec = "10min";
      Unit = "${name}-backup-${kind}.service";
    };
  };

  # At boot, so that the archive has its stanza and the first changes have a base.
  prepare =
    name: stack:
    let
      base = service name stack "wal-base" (backup.kinds name stack).wal-base;
    in
    lib.recursiveUpdate base {
      description = "${name}: stanza and first base backup";
      wantedBy = [ "multi-user.target" ];
      # A new leader's roles come first, and its setup starts this.
      after = base.after ++ lib.optional cluster.member "${name}-database-leader.service";
      serviceConfig = {
        ExecStart = "${package}/bin/slipway-backup --stack ${name} prepare";
        # The boot does not wait for a base backup; a server that is still recovering is tried again.
        Type = "exec";
        Restart = "on-failure";
        RestartSec = 60;
      };
    };

  each =
    make:
    lib.concatMapAttrs (
      name: stack:
      lib.mapAttrs' (kind: work: lib.nameValuePair "${name}-backup-${kind}" (make name stack kind work)) (
        backup.kinds name stack
      )
    ) stacks;
in
{
  systemd.services = lib.mkMerge [
    (
      each service
      // lib.mapAttrs' (
        name: stack: lib.nameValuePair "${name}-backup-prepare" (prepare name stack)
      ) backup.archived
    )
    (lib.mkIf cluster.member {
      slipway-cluster-setup.wants = lib.mapAttrsToList (
        name: _: "${name}-backup-prepare.service"
      ) backup.archived;
    })
  ];
  systemd.timers = each timer;
}
