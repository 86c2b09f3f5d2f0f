# A destroyed database comes back as it was at a moment between two transactions.
{
  nodes.machine.imports = [ ./common/database.nix ];

  testScript = ''
    def sql(statement):
        return machine.succeed(f"runuser -u slipway -- psql -qXAt -d slipway -c '{statement}'").strip()

    machine.wait_for_unit("slipway-api-1.service")
    machine.wait_until_succeeds("slipway-backup list | grep -q 'every moment from'")
    sql("CREATE TABLE load (n int)")
    sql("INSERT INTO load VALUES (1)")
    # A base backup counts from the second after it was finished.
    machine.sleep(2)
    moment = machine.succeed("date -u +%Y-%m-%dT%H:%M:%S.%6NZ").strip()
    machine.sleep(2)
    sql("INSERT INTO load VALUES (2)")
    sql("DROP TABLE load")

    # Beside first: nothing that runs is touched.
    machine.succeed(f"slipway-backup restore --to {moment}")
    machine.fail(f"slipway-backup restore --to {moment} --replace")

    machine.succeed("runuser -u postgres -- /run/current-system/sw/bin/pgbackrest --stanza=main check")
    machine.crash()
    machine.start()
    machine.wait_for_unit("postgresql.service")
    machine.succeed("systemctl stop postgresql.service && rm -rf /var/lib/postgresql/17/base")
    machine.succeed(f"slipway-backup restore --to {moment} --replace")
    machine.succeed("systemctl start postgresql.service")
    machine.wait_until_succeeds("runuser -u slipway -- psql -qXAt -d slipway -c 'SELECT 1 WHERE NOT pg_is_in_recovery()' | grep -q 1")
    t.assertEqual(sql("SELECT string_agg(n::text, chr(44)) FROM load"), "1")
    machine.succeed("slipway-backup now --kind all")
  '';
}
