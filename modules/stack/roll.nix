# <stack>-roll.service: restarts the replicas with the generation's units, one after another (roll.sh). A switch
# restarts it when any of them changed; if it fails, the switch fails.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  database = import ./database/lib.nix { inherit config lib; };
  values = import ../../nix/stack/values.nix { inherit lib; };
  namesOf = import ./names.nix { inherit lib; };
  hardening = import ../../nix/lib/hardening.nix;

  script = import ../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-roll";
    runtimeInputs = [
      config.systemd.package
      pkgs.coreutils
      pkgs.findutils
      pkgs.gnugrep
      pkgs.gnused
    ];
    text = builtins.readFile ./roll.sh;
  };

  unit =
    name: stack:
    let
      names = namesOf name stack;
      file = service: config.systemd.units."${service}.service".unit;
      # kind, name, unit, its file, and who owns the socket that systemd opens for it.
      line =
        kind: key: owner: service:
        "${kind} ${key} ${service} ${file service} ${owner}";
      ofService =
        key: service:
        map (line "service" key (
          if service.listen.type == "socket" then "${service.user}:${service.socketGroup}" else "-"
        )) (names.replicas key);
      # A role's password changes with its file, like every other secret.
      passwords = lib.optionals stack.database.enable (map (one: one.file) (database.passwords stack));
      withPassword = passwords != [ ];
      plan = pkgs.writeText "${name}-roll" (
        lib.concatLines (
          lib.optional withPassword (line "database" "database" "-" "${name}-database")
          ++ map (line "job" "-" "-") names.startJobs
          ++ lib.concatLists (lib.mapAttrsToList ofService stack.services)
        )
      );
      trials = lib.attrNames (lib.filterAttrs (_: service: service.rolling == "stand-in") stack.services);
      secrets = lib.concatMap (program: lib.attrValues (values.secrets stack program)) (
        lib.attrValues stack.services ++ lib.attrValues startJobs
      );
      startJobs = lib.filterAttrs (_: job: job.before == "start") stack.jobs;
    in
    {
      description = "${name}: rolling restart";
      wantedBy = [ names.target ];
      # At boot it only records what runs.
      after = map (service: "${service}.service") names.all;
      partOf = [ names.target ];
      stopIfChanged = false;
      environment = {
        ROLL_STACK = name;
        ROLL_TRIALS = toString trials;
        ROLL_SECRETS = toString (lib.unique (secrets ++ passwords));
        ROLL_RELOADS = toString (lib.optional stack.proxy.enable "nginx.service");
      };
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig =
        hardening {
          # It is root: it instructs systemd, reads every secret to notice changes, and sets the owners of sockets.
          capabilities = [
            "CAP_DAC_READ_SEARCH"
            "CAP_CHOWN"
          ];
          systemCalls = [ "@chown" ];
          # `systemctl status` asks for the boot's id.
          kernelFacts = true;
          writable = [ "-/run/slipway/${name}" ];
        }
        // {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = "${lib.getExe script} ${plan}";
          RuntimeDirectory = "slipway-roll/${name}";
          RuntimeDirectoryMode = "0700";
          # Its next run reads this record.
          RuntimeDirectoryPreserve = true;
          TimeoutStartSec = stack.rollSeconds;
          # systemd can read secrets in any folder, so this unit must too.
          ProtectHome = "read-only";
          PrivateTmp = false;
          # EX_TEMPFAIL: nothing has succeeded since boot, so a missing file may still appear.
          RestartForceExitStatus = 75;
          RestartSec = 2;
          RestartSteps = 5;
          RestartMaxDelaySec = 30;
        };
    };
in
{
  imports = [ ./bounds.nix ];
  systemd.services = lib.mapAttrs' (
    name: stack: lib.nameValuePair (namesOf name stack).roll (unit name stack)
  ) stacks;
}
