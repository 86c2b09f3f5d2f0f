# One host watches itself and another one, over the door with TLS. People hear of what is wrong and when it is over, a host
# that is down explains its services, and neither garbage nor a kill of Prometheus costs any other sample.
{ lib, ... }:
let
  certificateOf =
    pkgs: name: usage:
    import ./common/certificate.nix { inherit pkgs name usage; };
  doorOf = pkgs: certificateOf pkgs "watched.internal" "serverAuth";
  clientOf = pkgs: certificateOf pkgs "monitor.internal" "clientAuth";
in
{
  nodes = {
    monitor =
      { nodes, pkgs, ... }:
      let
        site = certificateOf pkgs "monitoring.example.com" "serverAuth";
        client = clientOf pkgs;
      in
      {
        services.slipway.monitoring = {
          enable = true;
          hosts.watched.config = nodes.watched;
          identity = {
            authority = "${doorOf pkgs}/authority.pem";
            certificate = "${client}/certificate.pem";
            key = "/var/lib/secrets/client-key";
          };
          domain = "monitoring.example.com";
          passwordFile = "/var/lib/secrets/passwords";
          tls = {
            certificate = "${site}/certificate.pem";
            key = "/var/lib/secrets/site-key";
          };
          receivers = {
            ops.webhook.url = "http://127.0.0.1:8080/ops";
            shop-team.webhook = {
              url = "http://127.0.0.1:8080/shop";
              tokenFile = "/var/lib/secrets/token";
            };
            snitch.webhook.url = "http://127.0.0.1:8080/snitch";
          };
          severities = {
            page = [ "ops" ];
            ticket = [ "ops" ];
          };
          routes = [
            {
              stacks = [ "shop" ];
              receivers = [ "shop-team" ];
            }
          ];
          deadMansSwitch = {
            receiver = "snitch";
            intervalSeconds = 10;
          };
          # Nobody waits for minutes here.
          scrape.intervalSeconds = 5;
          grouping = {
            waitSeconds = 1;
            intervalSeconds = 5;
          };
          rules = {
            HostDown.forSeconds = 5;
            ServiceDown.forSeconds = 40;
            # Of a team; it always fires.
            WatchedIsLoud = {
              severity = "ticket";
              expr = ''label_replace(vector(1), "host", "watched", "", "")'';
              summary = "{{ $labels.host }} is loud.";
              runbook = "https://wiki.example.com/loud";
            };
          };
        };
        networking.hosts."127.0.0.1" = [ "monitoring.example.com" ];
        systemd.services.webhook = {
          wantedBy = [ "multi-user.target" ];
          before = [ "alertmanager.service" ];
          serviceConfig = {
            ExecStart = "${lib.getExe pkgs.python3} ${./common/webhook.py} /var/lib/webhook";
            StateDirectory = "webhook";
          };
        };
        # In the store only for this test.
        system.activationScripts.testSecrets = {
          deps = [ "users" ];
          text = ''
            install -d -m 0711 /var/lib/secrets
            install -m 0600 ${client}/key.pem /var/lib/secrets/client-key
            install -m 0640 -g nginx ${site}/key.pem /var/lib/secrets/site-key
            install -m 0640 -g nginx ${pkgs.writeText "passwords" "ann:{PLAIN}staple-battery\n"} /var/lib/secrets/passwords
            install -m 0600 ${pkgs.writeText "token" "correct-horse"} /var/lib/secrets/token
          '';
        };
        environment.systemPackages = [
          pkgs.curl
          pkgs.jq
        ];
      };

    watched =
      { nodes, pkgs, ... }:
      let
        door = doorOf pkgs;
        program =
          name: answer:
          pkgs.writers.writePython3Bin name { doCheck = false; } ''
            import http.server
            import os


            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(200)
                    self.send_header("Content-Type", "text/plain; version=0.0.4")
                    self.end_headers()
                    self.wfile.write(${answer})


            address = ("127.0.0.1", int(os.environ["METRICS_PORT"]))
            http.server.ThreadingHTTPServer(address, Handler).serve_forever()
          '';
      in
      {
        services.slipway = {
          stacks.shop = {
            services = {
              web = {
                package = program "web" ''b"shop_orders 3\n"'';
                metrics.port = 9400;
              };
              garbage = {
                package = program "garbage" "os.urandom(4096)";
                metrics.port = 9410;
              };
            };
            jobs.report = {
              package = pkgs.writeShellScriptBin "report" "test ! -e /etc/report-fails";
              schedule.calendar = "*-*-* 03:00:00";
            };
            database.enable = true;
            cache.enable = true;
            backup.enable = false;
          };
          telemetry.door = {
            address = nodes.watched.networking.primaryIPAddress;
            clients = [ nodes.monitor.networking.primaryIPAddress ];
            name = "watched.internal";
            certificate = "${door}/certificate.pem";
            key = "/var/lib/secrets/door-key";
            authority = "${clientOf pkgs}/authority.pem";
            clientNames = [ "monitor.internal" ];
          };
        };
        environment.systemPackages = [ pkgs.python3 ];
        system.activationScripts.testSecrets.text = ''
          install -d -m 0700 /var/lib/secrets
          install -m 0600 ${door}/key.pem /var/lib/secrets/door-key
        '';
      };
  };

  testScript = ''
    import json

    prometheus = "http://127.0.0.1:9090/prometheus"

    def query(expression, at=""):
        asked = f"curl -sf --data-urlencode 'query={expression}' {at} {prometheus}/api/v1/query"
        return json.loads(monitor.succeed(asked))["data"]["result"]

    def value(expression, at=""):
        return query(expression, at)[0]["value"][1]

    def health(targets):
        return f"curl -sf {prometheus}/api/v1/targets | jq -e '[.data.activeTargets[] | {targets}]'"

    def told(file, **labels):
        """Waits until a receiver has heard of an alert with these labels."""
        alike = " and ".join(f'.{label} == "{value}"' for label, value in labels.items())
        monitor.wait_until_succeeds(f"jq -es 'any(.[]; {alike})' /var/lib/webhook/{file}", timeout=300)

    def state(alert):
        asked = f'[.[] | select(.labels.alertname == "{alert}") | .status.state]'
        return f"curl -sf http://127.0.0.1:9093/alertmanager/api/v2/alerts | jq -r '{asked} | first'"

    start_all()
    for unit in ["prometheus", "alertmanager", "prometheus-blackbox-exporter", "nginx"]:
        monitor.wait_for_unit(f"{unit}.service")
    watched.wait_for_unit("slipway-telemetry-door.service")

    with subtest("all targets are up but the one that answers garbage"):
        others = 'select(.labels.unit != "shop-garbage-1") | .health == "up"'
        monitor.wait_until_succeeds(health(others) + " | jq -e 'length > 5 and all'", timeout=180)
        garbage = 'select(.labels.unit == "shop-garbage-1") | .health == "down" and .lastError != ""'
        monitor.wait_until_succeeds(health(garbage) + " | jq -e 'length == 1 and all'", timeout=60)
        t.assertEqual(value('shop_orders{host="watched",stack="shop",service="web"}'), "3")

    with subtest("people get in with a password only"):
        ask = "curl -sk -o /dev/null -w '%{http_code}' "
        for page in ["prometheus/api/v1/alerts", "alertmanager/api/v2/status"]:
            t.assertEqual(monitor.succeed(f"{ask} https://monitoring.example.com/{page}"), "401")
            t.assertEqual(
                monitor.succeed(f"{ask} -u ann:staple-battery https://monitoring.example.com/{page}"), "200"
            )
        for port in [9090, 9093, 9115]:
            watched.fail(f"timeout 5 bash -c '</dev/tcp/monitor/{port}'")

    with subtest("the dead-man's switch is heard again and again"):
        monitor.wait_until_succeeds("[ $(wc -l < /var/lib/webhook/snitch) -ge 3 ]", timeout=120)

    with subtest("a service that stops is told to its team, and that it is back"):
        watched.succeed("systemctl stop shop-web-1.service")
        told("shop", status="firing", alertname="ServiceDown", service="web")
        watched.succeed("systemctl start shop-web-1.service")
        told("shop", status="resolved", alertname="ServiceDown", service="web")
        monitor.fail("grep ServiceDown /var/lib/webhook/ops")

    def heard():
        """The alerts that began, by name."""
        lines = monitor.succeed("cat /var/lib/webhook/ops /var/lib/webhook/shop").splitlines()
        return [alert["alertname"] for alert in map(json.loads, lines) if alert["status"] == "firing"]

    with subtest("each fault brings its alert and no other"):
        for alert, file, labels, fault, cure in [
            (
                "UnitFailed",
                "ops",
                {"unit": "broken"},
                "systemd-run --unit=broken false; true",
                "systemctl reset-failed broken.service",
            ),
            ("PostgresDown", "ops", {}, "systemctl stop postgresql", "systemctl start postgresql"),
            ("RedisDown", "shop", {"stack": "shop"}, "systemctl stop redis-shop", "systemctl start redis-shop"),
            (
                "JobFailed",
                "shop",
                {"unit": "shop-report"},
                "touch /etc/report-fails && systemctl start shop-report.service; true",
                "rm /etc/report-fails && systemctl start shop-report.service",
            ),
        ]:
            before = len(heard())
            watched.succeed(fault)
            told(file, status="firing", alertname=alert, host="watched", **labels)
            watched.succeed(cure)
            told(file, status="resolved", alertname=alert, host="watched", **labels)
            t.assertEqual(set(heard()[before:]), {alert})

    with subtest("a program cannot speak in the name of one that is down"):
        # A process in the unit of another service, as if its program were captured.
        watched.succeed("systemctl stop shop-web-1.service")
        enter = "echo $$ > /sys/fs/cgroup$(systemctl show -P ControlGroup shop-garbage-1.service)/cgroup.procs"
        bind = "import socket; socket.socket().bind((\"127.0.0.1\", 9400))"
        said = watched.fail(f"sh -c '{enter}; exec python3 -c \"$0\"' '{bind}' 2>&1")
        assert "Operation not permitted" in said, said
        watched.succeed("systemctl start shop-web-1.service")

    with subtest("a kill of Prometheus costs no sample that it had"):
        # Scrapes that go on just now are not in it.
        at = "--data-urlencode time=" + monitor.succeed("date -d -20sec +%s").strip()
        samples = "sum(count_over_time(up[5m])) + sum(count_over_time(node_cpu_seconds_total[5m]))"
        before = value(samples, at)
        monitor.succeed("systemctl kill -s KILL prometheus.service")
        monitor.wait_until_succeeds(f"curl -sf {prometheus}/-/ready", timeout=120)
        t.assertEqual(value(samples, at), before)

    with subtest("a host that is down explains what else is wrong there"):
        monitor.wait_until_succeeds(state("WatchedIsLoud") + " | grep -x active", timeout=120)
        watched.crash()
        told("ops", status="firing", alertname="HostDown", host="watched")
        monitor.wait_until_succeeds(state("WatchedIsLoud") + " | grep -x suppressed", timeout=60)
        watched.start()
        told("ops", status="resolved", alertname="HostDown", host="watched")
        monitor.wait_until_succeeds(state("WatchedIsLoud") + " | grep -x active", timeout=60)

    with subtest("a secret that is missing is named"):
        monitor.succeed("mv /var/lib/secrets/token /var/lib/secrets/away")
        monitor.fail("systemctl restart alertmanager.service")
        said = monitor.succeed("journalctl -u slipway-monitoring-secrets.service -o cat")
        assert "receivers.shop-team.webhook.tokenFile: /var/lib/secrets/token does not exist" in said, said
        monitor.succeed("mv /var/lib/secrets/away /var/lib/secrets/token")
        monitor.wait_for_unit("alertmanager.service")
  '';
}
