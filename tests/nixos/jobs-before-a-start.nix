# Jobs before a start run once for a release, in their order. When one fails, no replica is touched and the switch fails.
{
  nodes.machine =
    { lib, pkgs, ... }:
    let
      job = name: text: {
        package = pkgs.writeShellScriptBin name text;
        before = "start";
      };
      release = number: seed: {
        services.slipway.stacks.shop = {
          services.web.environment.RELEASE = lib.mkForce number;
          jobs.migrate.environment.RELEASE = lib.mkForce number;
          jobs.seed.package = lib.mkForce (pkgs.writeShellScriptBin "seed" seed);
        };
      };
    in
    {
      services.slipway.stacks.shop = {
        database.enable = false;
        cache.enable = false;
        backup.enable = false;
        services.web = {
          package = pkgs.writeShellScriptBin "web" "exec ${pkgs.coreutils}/bin/sleep infinity";
          environment.RELEASE = 1;
        };
        jobs.migrate = job "migrate" "echo a run" // {
          environment.RELEASE = 1;
        };
        jobs.seed = job "seed" "echo a run" // {
          after = [ "migrate" ];
        };
      };
      specialisation = {
        next.configuration = release 2 "echo a run";
        failing.configuration = release 3 "echo a run; exit 5";
      };
    };

  testScript = ''
    first = "/run/booted-system"

    def switch(system):
        return machine.execute(f"{system}/bin/switch-to-configuration test")[0]

    def state():
        runs = [
            int(machine.succeed(f"journalctl --unit shop-{job} --output cat | grep -cx 'a run'"))
            for job in ["migrate", "seed"]
        ]
        return runs, machine.succeed("systemctl show --property MainPID --value shop-web-1").strip()

    machine.wait_for_unit("shop-roll.service")
    runs, web = state()
    t.assertEqual(runs, [1, 1])

    with subtest("a release runs each once"):
        t.assertEqual(switch(f"{first}/specialisation/next"), 0)
        runs, next_web = state()
        t.assertEqual(runs, [2, 2])
        t.assertNotEqual(next_web, web)

    with subtest("another restart of the stack's processes runs none"):
        machine.succeed("systemctl restart shop-roll.service")
        t.assertEqual(state(), ([2, 2], next_web))

    with subtest("one that fails runs once as well, and no replica is touched"):
        t.assertNotEqual(switch(f"{first}/specialisation/failing"), 0)
        t.assertEqual(state(), ([3, 3], next_web))
  '';
}
