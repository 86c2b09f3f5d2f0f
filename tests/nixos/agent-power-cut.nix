# The power goes while a release is being verified: the machine boots what was committed last, and the rollout is taken back.
{
  nodes.machine = {
    imports = [ ./common/releases.nix ];
    # What boots must be the boot loader's to say, and not the test's.
    virtualisation = {
      useBootLoader = true;
      useEFIBoot = true;
      diskSize = 8192;
    };
    boot.loader = {
      systemd-boot.enable = true;
      efi.canTouchEfiVariables = true;
      timeout = 0;
    };
    specialisation.later.configuration.environment.etc.release.text = "later";
  };

  testScript =
    builtins.readFile ./common/join.py
    + builtins.readFile ./common/releases.py
    + ''

      closures["later"] = machine.succeed("readlink -e /run/current-system/specialisation/later").strip()

      with subtest("a release is committed"):
          status, said = start("next", ["verify.passes=2", "bake_seconds=5"], "--watch --timeout 300")
          t.assertEqual(status, 0, said)
          t.assertEqual(boot_default(), closures["next"])
          settled()

      with subtest("the power goes while the next one is verified"):
          status, said = start("later", ["bake_seconds=300"])
          t.assertEqual(status, 0, said)
          machine.wait_until_succeeds("slipway-agent status --json | jq -e '.journal.current.phase == \"verifying\"'", timeout=120)
          t.assertEqual((live(), boot_default()), (closures["later"], closures["next"]))
          machine.crash()

      with subtest("the machine comes back as it was committed"):
          machine.start()
          machine.wait_for_unit("slipway.target")
          t.assertEqual((live(), boot_default()), (closures["next"], closures["next"]))
          t.assertEqual(machine.succeed("cat /etc/release"), "next")
          machine.wait_until_succeeds("curl -sf --cacert $SLIPWAY_CA_FILE $SLIPWAY_URL/api/v1/monitoring/ready", timeout=120)

      with subtest("the rollout ends, taken back"):
          machine.wait_until_succeeds("slipway --json rollout list --env prod | jq -e '.items[0].state == \"reverted\"'", timeout=180)
          settled()
          t.assertEqual((live(), boot_default()), (closures["next"], closures["next"]))
          machine.succeed("slipway audit verify")
    '';
}
