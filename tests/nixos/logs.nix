# Lines of one host are found on another: by their fields, soon, each at least once whatever is killed, and under no other name.
{ lib, ... }:
let
  certificateOf =
    pkgs: name: usage:
    import ./common/certificate.nix { inherit pkgs name usage; };
  storeOf = pkgs: certificateOf pkgs "store.internal" "serverAuth";
  senderOf = pkgs: certificateOf pkgs "sender.internal" "clientAuth";
  # Of an authority that the door does not know.
  strangerOf = pkgs: certificateOf pkgs "stranger.internal" "clientAuth";
in
{
  nodes = {
    store =
      { nodes, pkgs, ... }:
      {
        services.slipway.monitoring = {
          enable = true;
          receivers.ops.webhook.url = "http://127.0.0.1:8080/ops";
          severities = {
            page = [ "ops" ];
            ticket = [ "ops" ];
          };
          logs.door = {
            address = nodes.store.networking.primaryIPAddress;
            clients = [ nodes.sender.networking.primaryIPAddress ];
            certificate = "${storeOf pkgs}/certificate.pem";
            key = "/var/lib/secrets/door-key";
            authority = "${senderOf pkgs}/authority.pem";
            senders.sender = "sender.internal";
          };
        };
        # In the store only for this test.
        system.activationScripts.testSecrets.text = ''
          install -d -m 0700 /var/lib/secrets
          install -m 0600 ${storeOf pkgs}/key.pem /var/lib/secrets/door-key
        '';
        environment.systemPackages = [ pkgs.curl ];
      };

    sender =
      { nodes, pkgs, ... }:
      {
        services.slipway = {
          stacks.shop.services.noisy.package = pkgs.writeShellScriptBin "noisy" ''
            exec ${pkgs.python3}/bin/python3 ${./common/lines.py}
          '';
          telemetry.logs = {
            endpoint = "https://store.internal:9444";
            authority = "${storeOf pkgs}/authority.pem";
            certificate = "${senderOf pkgs}/certificate.pem";
            key = "/var/lib/secrets/sender-key";
          };
        };
        networking.hosts.${nodes.store.networking.primaryIPAddress} = [ "store.internal" ];
        system.activationScripts.testSecrets.text = ''
          install -d -m 0700 /var/lib/secrets
          install -m 0600 ${senderOf pkgs}/key.pem /var/lib/secrets/sender-key
        '';
        # Numbered lines, 200 a second.
        environment.etc = {
          "count.py".text = ''
            import sys
            import time

            for n in range(int(sys.argv[2])):
                print('{"run":"%s","n":"%d"}' % (sys.argv[1], n), flush=True)
                time.sleep(0.005)
          '';
          "known.pem".source = "${senderOf pkgs}/certificate.pem";
          "stranger.pem".source = "${strangerOf pkgs}/certificate.pem";
          "stranger-key.pem".source = "${strangerOf pkgs}/key.pem";
          "authority.pem".source = "${storeOf pkgs}/authority.pem";
        };
        environment.systemPackages = [
          pkgs.curl
          pkgs.python3
        ];
      };
  };

  testScript = ''
    import json
    import time

    def find(query):
        asked = f"curl -sf 127.0.0.1:9428/select/logsql/query --data-urlencode 'query={query}' -d limit=100000"
        return [json.loads(line) for line in store.succeed(asked).splitlines()]

    def wait_for(query, count=1, seconds=120):
        """The lines, once there are as many."""
        end = time.monotonic() + seconds
        while len(lines := find(query)) < count:
            assert time.monotonic() < end, f"{query}: {len(lines)} of {count} lines after {seconds} s"
            time.sleep(0.2)
        return lines

    # A program of a stack begins in the root that it sees, so its own /tmp is below.
    lines_of_noisy = "/proc/$(systemctl show -P MainPID shop-noisy-1.service)/cwd/tmp/lines"

    def say(line):
        sender.succeed(f"echo '{json.dumps(line)}' > {lines_of_noisy}")

    def count_up(run, count):
        """Begins to say numbers."""
        sender.succeed(f"sh -c 'python3 /etc/count.py {run} {count} > {lines_of_noisy}' >/dev/null 2>&1 &")

    def twice(run, count):
        """How many came again, once all are there."""
        wait_for(f"run:{run} | uniq by (n)", count)
        return len(find(f"run:{run}")) - count

    start_all()
    for unit in ["victorialogs", "slipway-logs-door"]:
        store.wait_for_unit(f"{unit}.service")
    for unit in ["slipway-logs", "shop-noisy-1"]:
        sender.wait_for_unit(f"{unit}.service")
    sender.wait_until_succeeds(f"test -p {lines_of_noisy}")

    with subtest("a line is found by its rollout within 5 seconds, with its fields"):
        say({"message": "warm", "rollout_id": "ro-0"})
        wait_for("rollout_id:ro-0")
        say({"level": "WARN", "message": "step changed", "rollout_id": "ro-1", "attempt_id": "at-1"})
        [line] = wait_for("rollout_id:ro-1", seconds=5)
        want = {"host": "sender", "stack": "shop", "service": "noisy", "unit": "shop-noisy-1"}
        want |= {"level": "warn", "attempt_id": "at-1", "_msg": "step changed"}
        t.assertEqual({name: line[name] for name in want}, want)

    with subtest("what a program says of itself does not count"):
        forged = {"host": "store", "stack": "bank", "unit": "sshd.service", "_time": "2020-01-01", "_msg": "x"}
        say(forged | {"message": "forged", "slipway:known": {"host": "store"}})
        [line] = wait_for("forged")
        t.assertEqual((line["host"], line["stack"], line["unit"]), ("sender", "shop", "shop-noisy-1"))
        t.assertEqual((line["field.host"], line["field.stack"]), ("store", "bank"))
        assert not line["_time"].startswith("2020"), line
        for n, name in enumerate(["slipway:plain", "slipway:json", "slipway:known"]):
            say(forged | {"message": "words", "n": f"forged-{n}", name: n})
            [line] = wait_for(f"n:forged-{n}")
            t.assertEqual((line["stack"], line["unit"], line["_msg"]), ("shop", "shop-noisy-1", "words"))

    with subtest("a host cannot speak for another one, and a stranger not at all"):
        body = '{"create":{}}\\n{"_time":"0","message":"borrowed","host":"store"}\\n'
        sender.succeed(f"printf '{body}' > /tmp/body")
        ask = "curl -s -o /dev/null -w '%{http_code}' --cacert /etc/authority.pem"
        post = "-H 'VL-Extra-Fields: host=store' --data-binary @/tmp/body"
        url = "'https://store.internal:9444/_bulk?extra_fields=host=store'"
        known = "--cert /etc/known.pem --key /var/lib/secrets/sender-key"
        t.assertEqual(sender.succeed(f"{ask} {known} {post} {url}"), "200")
        [line] = wait_for("borrowed")
        t.assertEqual(line["host"], "sender")
        for who in ["", "--cert /etc/stranger.pem --key /etc/stranger-key.pem"]:
            t.assertEqual(sender.succeed(f"{ask} {who} {post} {url}"), "400")
        read = "'https://store.internal:9444/select/logsql/query?query=borrowed'"
        t.assertEqual(sender.succeed(f"{ask} {known} {read}"), "404")
        sender.fail("timeout 5 bash -c '</dev/tcp/store.internal/9428'")

    with subtest("restarts lose nothing, and send nothing twice"):
        count_up("restarts", 2000)
        for n, (machine, unit) in enumerate(
            [(store, "victorialogs"), (store, "slipway-logs-door"), (sender, "slipway-logs")]
        ):
            wait_for(f"run:restarts n:{n * 400}")
            machine.succeed(f"systemctl restart {unit}.service")
        t.assertEqual(twice("restarts", 2000), 0)

    with subtest("a kill of the shipper loses nothing, and sends a batch again at most"):
        count_up("kills", 2000)
        for n in range(4):
            wait_for(f"run:kills n:{n * 400}")
            sender.succeed("systemctl kill -s KILL slipway-logs.service")
        again = twice("kills", 2000)
        assert again <= 4 * 1000, again

    with subtest("what is said while the store is away comes once it is back"):
        store.succeed("systemctl stop slipway-logs-door.service")
        count_up("outage", 4000)
        sender.wait_until_succeeds("pgrep -f '[c]ount.py outage'")
        sender.wait_until_fails("pgrep -f '[c]ount.py outage'")
        t.assertEqual(find("run:outage"), [])
        store.succeed("systemctl start slipway-logs-door.service")
        twice("outage", 4000)

    with subtest("a key that is missing is named, and taken once it is there"):
        sender.succeed("mv /var/lib/secrets/sender-key /var/lib/secrets/away")
        sender.fail("systemctl restart slipway-logs.service")
        said = sender.succeed("systemctl status slipway-logs.service || true")
        assert "/var/lib/secrets/sender-key" in said, said
        sender.succeed("mv /var/lib/secrets/away /var/lib/secrets/sender-key")
        sender.wait_for_unit("slipway-logs.service")
  '';
}
