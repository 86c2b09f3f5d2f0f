# A new version comes with a switch while clients ask all the time: every replica is replaced, and no request fails.
{
  nodes.machine =
    {
      config,
      lib,
      pkgs,
      ...
    }:
    let
      old = config.services.slipway.packages.slipway-api;
      many = {
        perSecond = 10000;
        burst = 10000;
      };
    in
    {
      imports = [ ./common/control-plane.nix ];
      services.slipway.stacks.slipway.proxy.limits = {
        requests = many;
        monitoring = many;
      };
      # The same program at another place of the store, which is all that a new version is to a host.
      specialisation.next.configuration.services.slipway.stacks.slipway.api.package = lib.mkForce (
        pkgs.runCommand "slipway-api-next" { meta.mainProgram = "slipway-api"; } ''
          mkdir -p $out/bin && cp ${old}/bin/slipway-api $out/bin/
        ''
      );
      systemd.services.load = {
        environment.SLIPWAY_CA_FILE = config.environment.variables.SLIPWAY_CA_FILE;
        serviceConfig = {
          ExecStart = "${pkgs.python3}/bin/python3 ${./common/load.py} https://deploy.example.com/api/v1/monitoring/health https://deploy.example.com/api/v1/openapi.json";
          StandardOutput = "truncate:/tmp/load.json";
        };
      };
    };

  testScript = ''
    import json

    replicas = ["slipway-api-1", "slipway-api-2", "slipway-api-3"]

    def programs():
        return {unit: machine.succeed(f"readlink /proc/$(systemctl show -P MainPID {unit})/exe").strip() for unit in replicas}

    def under_load(switch):
        """Switches in the middle of a load; what the clients saw."""
        machine.succeed("systemctl start load.service")
        machine.sleep(5)
        status, said = machine.execute(f"{switch}/bin/switch-to-configuration test 2>&1")
        machine.sleep(5)
        machine.succeed("systemctl stop load.service")
        seen = json.loads(machine.succeed("cat /tmp/load.json"))
        machine.log(f"{seen['answered']} answered, the slowest in {seen['slowest']:.3f} s")
        return status, said, seen

    machine.wait_for_unit("slipway.target")
    machine.wait_until_succeeds("curl -sf --cacert $SLIPWAY_CA_FILE $SLIPWAY_URL/api/v1/monitoring/ready", timeout=120)
    before = machine.succeed("readlink -e /run/current-system").strip()
    old = programs()

    for system in [f"{before}/specialisation/next", before]:
        status, said, seen = under_load(system)
        t.assertEqual(status, 0, said)
        t.assertEqual(seen["failed"], [])
        t.assertGreater(seen["answered"], 500)
        new = programs()
        t.assertEqual([unit for unit in replicas if new[unit] == old[unit]], [])
        old = new

    # The load can tell: without its replicas the proxy has no answer.
    machine.succeed("systemctl start load.service && sleep 2")
    machine.succeed("systemctl stop 'slipway-api-*.socket' 'slipway-api-*.service' && sleep 2")
    machine.succeed("systemctl stop load.service")
    t.assertGreater(len(json.loads(machine.succeed("cat /tmp/load.json"))["failed"]), 0)
  '';
}
