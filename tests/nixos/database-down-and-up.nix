# Postgres stops, is killed, and comes back: the processes stay, and the stack is healthy again by itself.
{
  nodes.machine.imports = [ ./common/database.nix ];

  testScript = ''
    ready = "curl -sf --unix-socket /run/slipway/slipway/api-1.sock http://api/api/v1/monitoring/ready"
    machine.wait_for_unit("slipway-api-1.service")
    machine.wait_until_succeeds(ready, timeout=60)
    api = machine.succeed("systemctl show --property MainPID --value slipway-api-1.service")

    machine.succeed("systemctl stop postgresql.service")
    machine.wait_until_fails(ready, timeout=60)
    # Not through its unit, which would bring Postgres up.
    said = machine.fail("runuser -u slipway-backup -- slipway-backup --stack slipway now --kind dump --here 2>&1")
    t.assertIn("cure:", said)
    machine.succeed("systemctl start postgresql.service")
    machine.wait_until_succeeds(ready, timeout=60)

    killed = machine.succeed("systemctl show --property MainPID --value postgresql.service").strip()
    machine.succeed("systemctl kill --signal=KILL postgresql.service")
    machine.wait_until_succeeds(
        f"systemctl is-active postgresql.service && [ $(systemctl show -P MainPID postgresql.service) != {killed} ]",
        timeout=60,
    )
    machine.wait_until_succeeds("slipway-backup now --kind dump", timeout=60)
    machine.wait_until_succeeds(ready, timeout=60)
    t.assertEqual(machine.succeed("systemctl show --property MainPID --value slipway-api-1.service"), api)
  '';
}
