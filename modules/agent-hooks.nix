# services.slipway.agent.hooks: the closure's /etc/slipway/hooks.json. The agent runs these programs before a switch to the
# closure and after its commit.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.agent;
  contract = import ../nix/contract.nix;

  hook =
    { name, ... }:
    {
      options = {
        name = mkOption {
          type = types.strMatching ".{1,100}";
          default = name;
          defaultText = lib.literalMD "the attribute's name";
          example = "hand the lead over";
          description = "The hook's name, for people; unique. Hooks of one list run in the order of their attributes' names.";
        };
        when = mkOption {
          type = types.enum [
            "before_activate"
            "after_commit"
          ];
          example = "before_activate";
          description = ''
            `before_activate`: before the switch to this closure, while the prior is live. `after_commit`: once the host
            has settled on this closure, by a commit or by going back to it.
          '';
        };
        command = mkOption {
          type = types.nonEmptyListOf types.str;
          example = lib.literalExpression ''[ (lib.getExe hand-over) "--wait" ]'';
          description = ''
            The program by its absolute path, and its arguments. Status 0 is success. It runs as root, in a unit of its
            own, and what it leaves running ends with it. It may be run more than once, so it must be idempotent.
          '';
        };
        timeoutSeconds = mkOption {
          type = types.ints.between 1 contract.times.hooksSeconds;
          default = 120;
          example = 600;
          description = ''
            Seconds until it is ended and counts as failed. Before a switch this time is part of the strategy's
            `limits.deadman_seconds`.
          '';
        };
        onFailure = mkOption {
          type = types.enum [
            "fail"
            "continue"
          ];
          default = "fail";
          example = "continue";
          description = ''
            `fail`: the hooks after it do not run, and before the switch to a release the attempt ends with the host
            untouched. `continue`: it is noted, and everything goes on. Nothing keeps a host from going back to its prior,
            and nothing undoes a commit.
          '';
        };
      };
    };

  list = when: lib.filter (item: item.when == when) (lib.attrValues cfg.hooks);
  written = item: {
    inherit (item) name command;
    timeout_seconds = item.timeoutSeconds;
    on_failure = item.onFailure;
  };
  # As the agent counts it.
  secondsOf =
    items: lib.foldl' (sum: item: sum + item.timeoutSeconds + contract.times.hookEndSeconds) 0 items;

  # What the default strategy leaves: its dead-man must come after hooks, switch and checks.
  switchSeconds =
    (builtins.fromJSON (config.environment.etc."slipway/activation.json".text or "{}")).seconds
      or contract.rollout.activateSeconds;
  needed =
    secondsOf (list "before_activate")
    + lib.max switchSeconds contract.rollout.activateSeconds
    + contract.rollout.verifySeconds
    + contract.rollout.bakeSeconds;

  twice = lib.filter (name: lib.count (item: item.name == name) (lib.attrValues cfg.hooks) > 1) (
    lib.unique (map (item: item.name) (lib.attrValues cfg.hooks))
  );
in
{
  options.services.slipway.agent.hooks = mkOption {
    type = types.attrsOf (types.submodule hook);
    default = { };
    example = lib.literalExpression ''
      {
        hand-over = {
          when = "before_activate";
          command = [ (lib.getExe handOver) ];
          timeoutSeconds = 180;
        };
      }
    '';
    description = ''
      Programs by name that the agent runs around a switch to this closure (docs/agent.md). One may hand a database's lead
      to another host before this one is touched.
    '';
  };

  config = lib.mkIf (cfg.enable && cfg.hooks != { }) {
    environment.etc."slipway/hooks.json".text = builtins.toJSON {
      before_activate = map written (list "before_activate");
      after_commit = map written (list "after_commit");
    };

    warnings = lib.optional (needed >= contract.rollout.deadmanSeconds) (
      "services.slipway.agent.hooks: hooks before a switch, the switch and its checks may take ${toString needed} s, and the default strategy's dead-man comes after ${toString contract.rollout.deadmanSeconds} s; give the environment's strategy limits.deadman_seconds of more than ${toString needed}, or agents refuse the activation."
    );

    assertions = [
      {
        assertion = twice == [ ];
        message = "services.slipway.agent.hooks: two hooks have the name ${lib.concatStringsSep ", " twice}; give each its own.";
      }
    ]
    ++
      lib.concatMap
        (when: [
          {
            assertion = secondsOf (list when) <= contract.times.hooksSeconds;
            message = "services.slipway.agent.hooks: those of ${when} may take ${toString (secondsOf (list when))} s together, ${toString contract.times.hookEndSeconds} s to end each included; ${toString contract.times.hooksSeconds} is the most, so lower timeoutSeconds.";
          }
          {
            assertion = lib.length (list when) <= 20;
            message = "services.slipway.agent.hooks: ${when} has ${toString (lib.length (list when))} hooks; 20 is the most, so let one program do the work of several.";
          }
        ])
        [
          "before_activate"
          "after_commit"
        ]
    ++ lib.concatLists (
      lib.mapAttrsToList (
        name: item:
        let
          option = "services.slipway.agent.hooks.\"${name}\"";
          program = lib.head item.command;
        in
        [
          {
            assertion = lib.hasPrefix "/" program;
            message = "${option}.command begins with ${program}, which is no absolute path; name the program in the store, such as lib.getExe of its package.";
          }
          {
            assertion = item.when != "before_activate" || !lib.hasPrefix "/run/current-system/" program;
            message = "${option}.command begins with ${program}, which is still the prior's when it runs; name the program in the store, such as lib.getExe of its package.";
          }
        ]
      ) cfg.hooks
    );
  };
}
