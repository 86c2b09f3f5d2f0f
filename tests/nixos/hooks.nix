# A hook before the switch that fails leaves the machine as it was; what it took away comes back. A release whose hooks
# succeed is committed, and they run in units of their own around the switch.
{
  nodes.machine =
    { pkgs, ... }:
    let
      # Its words, its name and what is live.
      say = pkgs.writeShellScript "say" ''
        echo "$1 $SLIPWAY_HOOK $(readlink /run/current-system)" >> /var/log/hooks
      '';
      says = when: word: {
        inherit when;
        command = [
          "${say}"
          word
        ];
      };
      refuses = pkgs.writeShellScript "refuses" ''
        echo no standby is in sync
        exit 3
      '';
    in
    {
      imports = [ ./common/releases.nix ];
      services.slipway.agent.hooks.back = says "after_commit" "back";
      specialisation = {
        next.configuration.services.slipway.agent.hooks.away = says "before_activate" "$away";
        refusing.configuration = {
          environment.etc.release.text = "refusing";
          services.slipway.agent.hooks = {
            a-away = says "before_activate" "away";
            b-standby = {
              when = "before_activate";
              command = [ "${refuses}" ];
            };
          };
        };
      };
    };

  testScript =
    builtins.readFile ./common/join.py
    + builtins.readFile ./common/releases.py
    + ''

      quick = ["verify.passes=2", "verify.timeout_seconds=20", "bake_seconds=5"]
      machine.succeed("nix-env --profile /nix/var/nix/profiles/system --set /run/current-system")
      before = live()
      closures["refusing"] = machine.succeed("readlink -e /run/current-system/specialisation/refusing").strip()

      with subtest("a hook that fails leaves the machine untouched"):
          status, said = start("refusing", quick, "--watch --timeout 300")
          t.assertNotEqual(status, 0, said)
          t.assertIn("no standby is in sync; nothing was activated", said)
          t.assertEqual((live(), boot_default()), (before, before))
          machine.fail("test -e /etc/release")
          machine.wait_until_succeeds("grep -x 'back back .*' /var/log/hooks", 60)
          t.assertEqual(len(machine.succeed("cat /var/log/hooks").splitlines()), 2)
          machine.fail("systemctl list-units --all --plain --no-legend 'slipway-deadman-*.timer' | grep .")

      with subtest("hooks frame the switch, and see words as they are written"):
          status, said = start("next", quick, "--watch --timeout 300")
          t.assertEqual(status, 0, said)
          lines = machine.succeed("tail -n 2 /var/log/hooks").splitlines()
          t.assertEqual(lines, [f"$away away {before}", f"back back {closures['next']}"])
          machine.fail("systemctl list-units --all --plain --no-legend 'slipway-before-*' 'slipway-after-*' | grep .")
    '';
}
