# What every unit of ours may do at most, by the judgement of systemd: 0.0 is nothing, 10.0 everything.
{
  nodes.machine.imports = [ ./common/agent.nix ];

  testScript = ''
    # In tenths. The agent is root and talks to any address: it switches the system (modules/agent.nix).
    exceptions = {"slipway-agent.service": 30}
    most = 20

    machine.wait_for_unit("slipway.target")
    listed = machine.succeed("systemctl list-unit-files --plain --no-legend 'slipway*.service' 'redis-slipway*.service' | cut -d ' ' -f 1").split()
    # Of nixpkgs' own the modules ask no less.
    units = listed + ["postgresql.service", "nginx.service"]
    for needed in ["slipway-api-1.service", "slipway-worker-1.service", "slipway-migrate.service", "slipway-roll.service",
                   "slipway-backup-dump.service", "slipway-backup-exporter.service", "slipway-agent.service"]:
        assert needed in units, units
    too_much = []
    for unit in units:
        bound = exceptions.get(unit, most)
        status, said = machine.execute(f"systemd-analyze security --no-pager --threshold={bound} {unit} 2>&1")
        if status != 0:
            too_much.append(f"{unit}: {said.strip().splitlines()[-1]}")
    t.assertEqual(too_much, [])
    # The judge judges.
    machine.fail("systemd-analyze security --no-pager --threshold=1 slipway-agent.service")
  '';
}
