# A drill passes on a good dump, fails on one that was changed, and both show in the metrics and in the status.
{
  nodes.machine.imports = [ ./common/database.nix ];

  testScript = ''
    def metric(name, kind):
        line = machine.succeed(f"curl -sf http://127.0.0.1:9103/metrics | grep '^{name}{{stack=\"slipway\",kind=\"{kind}\"}}'")
        return float(line.split()[-1])

    machine.wait_for_unit("slipway-api-1.service")
    machine.wait_until_succeeds("slipway-backup list | grep -q 'every moment from'")
    machine.succeed("slipway-backup now --kind all")
    machine.succeed("slipway-backup drill")
    machine.succeed("slipway-backup verify")
    machine.succeed("slipway-backup status")
    t.assertEqual(metric("slipway_backup_failed", "drill"), 0)
    t.assertLess(metric("slipway_backup_age_seconds", "drill"), 600)

    machine.succeed("printf x | dd of=$(ls /var/lib/slipway-backup/slipway/dumps/*.dump) bs=1 seek=2000 conv=notrunc")
    said = machine.fail("slipway-backup drill 2>&1")
    t.assertIn("its SHA-256 has changed", said)
    t.assertIn("cure:", said)
    machine.fail("slipway-backup status")
    t.assertEqual(metric("slipway_backup_failed", "drill"), 1)

    # A new dump is a cure.
    machine.succeed("slipway-backup now --kind dump && slipway-backup drill")
    t.assertEqual(metric("slipway_backup_failed", "drill"), 0)
  '';
}
