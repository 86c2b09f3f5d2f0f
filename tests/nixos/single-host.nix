# A single host with everything comes up, is healthy over TLS, and `slipway verify` is green on it, and red once something
# is missing.
{
  nodes.machine.imports = [ ./common/agent.nix ];

  testScript = builtins.readFile ./common/join.py + ''

    import json

    def verify():
        status, said = machine.execute("slipway --json verify")
        report = json.loads(said)
        wrong = [line for line in report["checks"] if line["state"] not in ("ok", "warn")]
        return status, report["state"], wrong

    with subtest("healthy over TLS"):
        health = json.loads(machine.succeed("curl -sf --cacert $SLIPWAY_CA_FILE $SLIPWAY_URL/api/v1/monitoring/health"))
        t.assertEqual(health["status"], "ok")
        plain = machine.succeed("curl -s -o /dev/null -w '%{http_code}' http://deploy.example.com/")
        t.assertEqual(plain, "308")
        t.assertEqual(machine.succeed("systemctl --failed --no-legend").strip(), "")

    with subtest("the first rollout, of what runs already"):
        machine.succeed("nix-env --profile /nix/var/nix/profiles/system --set /run/current-system")
        machine.succeed(
            "slipway --json release create --closure machine=$(readlink -e /run/current-system) -m first "
            "| jq -r .id > /tmp/release"
        )
        machine.succeed("slipway rollout start prod $(cat /tmp/release) --set bake_seconds=5 --watch --timeout 300")

    with subtest("verify is green"):
        machine.wait_until_succeeds("slipway-backup list | grep -q 'every moment from'")
        machine.succeed("slipway-backup now --kind all && slipway-backup verify && slipway-backup drill")
        machine.wait_until_succeeds("slipway verify", timeout=60)
        t.assertEqual(verify()[2], [])

    with subtest("verify tells of a replica that is gone"):
        machine.succeed("systemctl stop slipway-api-2.socket slipway-api-2.service")
        status, state, wrong = verify()
        t.assertEqual((status, state), (30, "fail"))
        assert any("api-2" in json.dumps(line) and line["cure"] for line in wrong), wrong
        machine.succeed("systemctl start slipway-api-2.socket slipway-api-2.service")
        machine.wait_until_succeeds("slipway verify", timeout=60)
  '';
}
