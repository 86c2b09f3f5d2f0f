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
  namesOf = import ./names.nix { inherit lib; };
  hardening = import ../../nix/lib/hardening.nix;

  script = import ../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-roll";
    runtimeInputs = [
      config.systemd.package
      pkgs.coreutils
      pkgs.findutils
      pkgs.gnugrep
    ];
    text = builtins.readFile ./roll.sh;
  };

  unit =
    name: stack:
    let
      names = namesOf name stack;
      file = service: config.systemd.units."${service}.service".unit;
      line = role: service: "${role} ${service} ${file service}";
      # A role's password changes with its file, like every other secret.
      passwords = lib.optionals stack.database.enable (map (one: one.file) (database.passwords stack));
      withPassword = passwords != [ ];
      plan = pkgs.writeText "${name}-roll" (
        lib.concatLines (
          lib.optional withPassword (line "database" "${name}-database")
          ++ lib.optional stack.migrations.enable (line "migrate" names.migrate)
          ++ map (line "api") names.api
          ++ map (line "worker") names.worker
        )
      );
      trials = lib.optional stack.api.trial "api" ++ lib.optional stack.worker.trial "worker";
    in
    {
      description = "${name}: rolling restart";
      wantedBy = [ names.target ];
      # At boot it only records what runs.
      after = map (service: "${service}.service") (names.api ++ names.worker);
      partOf = [ names.target ];
      stopIfChanged = false;
      environment = {
        ROLL_STACK = name;
        ROLL_TRIALS = toString trials;
        ROLL_SECRETS = toString (
          lib.unique (lib.attrValues stack.secrets ++ lib.attrValues stack.migrations.secrets ++ passwords)
        );
        ROLL_RELOADS = toString (lib.optional stack.proxy.enable "nginx.service");
        ROLL_SOCKET_OWNER = "${stack.user}:${stack.api.socketGroup}";
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
