# The control plane and the agent bring a release to a host. One that does not start and one that is not healthy go back to
# the release before, which goes on serving.
{
  nodes.machine.imports = [ ./common/releases.nix ];

  testScript =
    builtins.readFile ./common/join.py
    + builtins.readFile ./common/releases.py
    + ''

      quick = ["verify.passes=2", "verify.timeout_seconds=20", "bake_seconds=5"]
      # As on every host that was installed: the profile is what boots.
      machine.succeed("nix-env --profile /nix/var/nix/profiles/system --set /run/current-system")

      with subtest("a release is rolled out"):
          status, said = start("next", quick, "--watch --timeout 300")
          t.assertEqual(status, 0, said)
          t.assertEqual(machine.succeed("cat /etc/release"), "next")
          t.assertEqual((live(), boot_default()), (closures["next"], closures["next"]))
          machine.succeed("systemctl show -P Environment slipway-api-1.service | grep -q LOG_LEVEL=debug")
          settled()

      for name in ["broken", "unhealthy"]:
          with subtest(f"a release that is {name} goes back"):
              status, said = start(name, quick, "--watch --timeout 300")
              t.assertEqual(status, 10, said)
              t.assertEqual((live(), boot_default()), (closures["next"], closures["next"]))
              for unit in ["slipway-api-1", "slipway-api-3", "slipway-worker-1", "nginx", "postgresql"]:
                  machine.succeed(f"systemctl is-active {unit}.service")
              machine.succeed("curl -sf --cacert $SLIPWAY_CA_FILE $SLIPWAY_URL/api/v1/monitoring/ready")
              settled()

      with subtest("nothing stays behind, and everything is on record"):
          machine.fail("systemctl list-units --all --plain --no-legend 'slipway-deadman-*.timer' | grep .")
          machine.succeed("slipway audit verify")
          t.assertEqual(len(json.loads(machine.succeed("slipway --json rollout list --env prod"))["items"]), 3)
    '';
}
