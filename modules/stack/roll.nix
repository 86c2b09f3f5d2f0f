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
      # A line of the plan (roll.sh).
      line =
        kind: key: listen: secrets: unit:
        toString (
          [
            kind
            key
            "${unit}.service"
            (file unit)
          ]
          ++ listen
          ++ secrets
        );
      nowhere = [
        "none"
        "-"
      ];
      secretsOf = program: lib.attrValues (values.secrets stack program);
      ofService =
        key: service:
        let
          listen = [
            service.listen.type
            (if service.listen.type == "socket" then "${service.user}:${service.socketGroup}" else "-")
          ];
        in
        lib.optional (service.addresses != [ ]) (
          toString (
            [
              "address"
              key
            ]
            ++ service.addresses
            ++ lib.optional (service.standIn != null) service.standIn
          )
        )
        ++ map (line "stand-in" key listen [ ]) (names.trials key)
        ++ map (line "service" key listen (secretsOf service)) (names.replicas key);
      ofJob = unit: line "job" "-" nowhere (secretsOf startJobs.${unit}) unit;
      # A role's password changes with its file, like every other secret.
      passwords = lib.optionals stack.database.enable (
        lib.unique (map (one: one.file) (database.passwords stack))
      );
      plan = pkgs.writeText "${name}-roll" (
        lib.concatLines (
          lib.optional (passwords != [ ]) (line "database" "-" nowhere passwords "${name}-database")
          ++ map ofJob names.startJobs
          ++ lib.concatLists (lib.mapAttrsToList ofService stack.services)
        )
      );
      startJobs = lib.mapAttrs' (key: lib.nameValuePair (names.job key)) stack.jobs;
      standIns = lib.concatLists (
        lib.mapAttrsToList (
          key: service:
          lib.concatMap (
            trial: [ "${trial}.service" ] ++ lib.optional (service.listen.type == "socket") "${trial}.socket"
          ) (names.trials key)
        ) stack.services
      );
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
        ROLL_RELOADS = toString (lib.optional (stack.proxy.served != { }) "nginx.service");
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
          # Also after a script that was killed.
          ExecStopPost = lib.mkIf (
            standIns != [ ]
          ) "-${config.systemd.package}/bin/systemctl --no-block stop ${toString standIns}";
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
