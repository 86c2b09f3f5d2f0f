# Jobs on schedules. None overlaps with itself, a failed one is tried again and becomes late, and a hanging one is ended. All
# are in node-exporter's metrics, and one that is gone leaves nothing.
{
  nodes.machine =
    { lib, pkgs, ... }:
    let
      job = name: text: {
        package = pkgs.writeShellScriptBin name text;
        path = [ pkgs.coreutils ];
      };
    in
    {
      services.prometheus.exporters.node.enable = true;
      services.slipway.stacks.shop = {
        cache.enable = false;
        backup.enable = false;
        services.web = job "web" "exec sleep infinity";
        jobs = {
          minutely =
            job "minutely" ''
              psql --host /run/postgresql --command "SELECT 'it has the database'" shop
            ''
            // {
              path = [ pkgs.postgresql ];
              schedule.calendar = "minutely";
            };
          slow =
            job "slow" ''
              cd "$STATE_DIRECTORY"
              mkdir running || { echo overlap >> overlaps; exit 1; }
              trap 'rmdir running' EXIT
              echo run >> runs
              sleep 4
            ''
            // {
              stateDirectory = true;
              schedule.intervalSeconds = 1;
            };
          broken = job "broken" "echo a try; exit 3" // {
            schedule.intervalSeconds = 3600;
            retries = 1;
            lateSeconds = 30;
          };
          # Late without a word about when: after the second minute.
          empty = job "empty" "exit 1" // {
            schedule.calendar = "minutely";
            timeoutSeconds = 5;
          };
          hangs = job "hangs" "exec sleep infinity" // {
            schedule.intervalSeconds = 3600;
            timeoutSeconds = 5;
          };
        };
      };
      specialisation.without.configuration.services.slipway.stacks.shop.jobs =
        lib.genAttrs
          [
            "broken"
            "hangs"
            "minutely"
            "slow"
          ]
          (_: {
            enable = false;
          });
    };

  testScript = ''
    def metric(name, job):
        return f"curl -s http://localhost:9100/metrics | grep -F 'slipway_job_{name}{{job=\"{job}\",stack=\"shop\"}}'"

    machine.wait_for_unit("shop.target")
    machine.wait_for_unit("prometheus-node-exporter.service")

    with subtest("one at a time of day runs, with the stack's database"):
        machine.wait_until_succeeds("journalctl --unit shop-minutely --output cat | grep -q 'it has the database'", timeout=90)
        machine.wait_until_succeeds(metric("failed", "minutely") + " | grep -q ' 0$'", timeout=60)

    with subtest("one that fails is tried once more, and is late"):
        machine.wait_until_succeeds("journalctl --unit shop-broken --output cat | grep -c 'a try' | grep -qx 2", timeout=120)
        machine.wait_until_succeeds(metric("late", "broken") + " | grep -q ' 1$'", timeout=60)
        machine.succeed("systemctl is-failed shop-broken.service && systemctl is-failed shop-broken-late.service")
        machine.sleep(90)
        machine.succeed("journalctl --unit shop-broken --output cat | grep -c 'a try' | grep -qx 2")

    with subtest("one without lateSeconds is late by its calendar"):
        machine.wait_until_succeeds(metric("late", "empty") + " | grep -q ' 1$'", timeout=180)

    with subtest("one that hangs is ended"):
        machine.succeed("systemctl show --property Result --value shop-hangs.service | grep -qx timeout")
        machine.succeed(metric("failed", "hangs") + " | grep -q ' 1$'")

    with subtest("one never runs beside itself"):
        machine.succeed("[ $(wc -l < /var/lib/shop-slow/runs) -gt 3 ]")
        machine.fail("[ -e /var/lib/shop-slow/overlaps ]")

    with subtest("after a boot an interval goes on where it was"):
        machine.shutdown()
        machine.start()
        machine.wait_for_unit("shop-jobs.service")
        machine.wait_until_succeeds(metric("late", "broken") + " | grep -q ' 1$'", timeout=60)
        machine.fail("journalctl --boot --unit shop-broken --output cat | grep -q 'a try'")

    with subtest("a clock that was ahead keeps no job from being late, and a crash none from having a record"):
        record = "/var/lib/slipway-jobs/shop/broken"
        machine.succeed(f"sed -i 's/^since=.*/since=9999999999/' {record}")
        machine.wait_until_fails(f"grep 9999999999 {record}", timeout=60)
        machine.wait_until_succeeds(metric("late", "broken") + " | grep -q ' 1$'", timeout=90)
        machine.succeed(f"truncate --size 0 {record}")
        machine.wait_until_succeeds(f"grep '^since=[1-9]' {record}", timeout=60)

    with subtest("jobs that are gone leave nothing"):
        machine.succeed("/run/current-system/specialisation/without/bin/switch-to-configuration test")
        machine.fail("systemctl list-timers --all | grep shop-")
        machine.fail("curl -s http://localhost:9100/metrics | grep slipway_job")
        machine.fail("systemctl --failed --no-legend | grep shop-")
  '';
}
