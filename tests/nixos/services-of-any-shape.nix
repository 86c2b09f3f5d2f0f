# Programs that know nothing of Slipway, at ports and a socket of their own. A switch under load fails no request. One that
# never gets ready touches none of them, and one that hangs is restarted.
{ lib, ... }:
{
  nodes.machine =
    { pkgs, ... }:
    let
      certificate = import ./common/certificate.nix {
        inherit pkgs;
        name = "team.example.com";
      };
      site = pkgs.writeTextDir "index.html" "first";
      # It ends at once when it is told to.
      server = site: [
        "${pkgs.python3}/bin/python3"
        "-m"
        "http.server"
        "$(PORT)"
        "--bind=$(HOST)"
        "--directory=${site}"
      ];
      # nginx reads no variables.
      # Asks for more time again and again, also when it is to end.
      stubborn = pkgs.writeShellScript "stubborn" ''
        trap "" TERM
        ${pkgs.systemd}/bin/systemd-notify --ready
        while true; do
          ${pkgs.systemd}/bin/systemd-notify EXTEND_TIMEOUT_USEC=60000000
          ${pkgs.coreutils}/bin/sleep 0.5
        done
      '';
      front = pkgs.writeShellScript "front" ''
        cat > /tmp/front.conf <<END
        daemon off;
        pid /tmp/pid;
        events { }
        http {
          access_log off;
          client_body_temp_path /tmp/1; proxy_temp_path /tmp/2; fastcgi_temp_path /tmp/3; uwsgi_temp_path /tmp/4; scgi_temp_path /tmp/5;
          server { listen unix:$SOCKET; location / { return 200 "$GREETING"; } location /never { return 503; } }
        }
        END
        exec ${lib.getExe pkgs.nginx} -e stderr -c /tmp/front.conf
      '';
      many = {
        perSecond = 10000;
        burst = 10000;
      };
      path =
        name:
        lib.nameValuePair "/${name}" {
          service = name;
          stripPrefix = true;
        };
    in
    {
      services.slipway.stacks.team = {
        database.enable = false;
        cache.enable = false;
        proxy = {
          tls = {
            certificate = "${certificate}/certificate.pem";
            key = "/etc/team-key.pem";
          };
          limits.requests = many;
        };
        domains."team.example.com".routes = lib.listToAttrs (
          map path [
            "several"
            "single"
            "front"
          ]
        );
        environment.GREETING = "first";
        services = {
          several = {
            command = server site;
            replicas = 2;
            listen.port = 3000;
            health = {
              ready.http = "/";
              live.http = "/";
              intervalSeconds = 1;
              timeoutSeconds = 1;
            };
          };
          single = {
            command = lib.mkDefault (server site);
            listen.port = 3010;
          };
          front = {
            command = [ "${front}" ];
            listen.type = "unix";
            health.ready.http = lib.mkDefault "/";
            stopSignal = "SIGQUIT";
            startSeconds = 10;
          };
          stubborn = {
            command = [ "${stubborn}" ];
            type = "notify";
            stopSeconds = 2;
            serviceConfig.NotifyAccess = "all";
          };
          state = {
            command = [
              "${pkgs.redis}/bin/redis-server"
              "--port"
              "$(PORT)"
              "--dir"
              "$(STATE_DIRECTORY)"
              "--appendonly"
              "yes"
            ];
            listen.port = 3020;
            stateDirectory = true;
            health.ready.command = [
              "${pkgs.redis}/bin/redis-cli"
              "-p"
              "3020"
              "ping"
            ];
          };
        };
      };
      # Any user may read it: it is the store's already.
      environment.etc."team-key.pem".source = "${certificate}/key.pem";
      networking.hosts."127.0.0.1" = [ "team.example.com" ];
      environment.systemPackages = [
        pkgs.curl
        pkgs.redis
      ];
      systemd.services.load = {
        environment.SLIPWAY_CA_FILE = "${certificate}/authority.pem";
        serviceConfig = {
          ExecStart = "${pkgs.python3}/bin/python3 ${./common/load.py} ${
            toString (
              map (name: "https://team.example.com/${name}/") [
                "several"
                "single"
                "front"
              ]
            )
          }";
          StandardOutput = "truncate:/tmp/load.json";
        };
      };

      specialisation = {
        next.configuration.services.slipway.stacks.team = {
          environment.GREETING = lib.mkForce "second";
          services.single = {
            command = server (pkgs.writeTextDir "index.html" "second");
            # The running proxy does not know this port.
            listen.port = lib.mkForce 3015;
          };
        };
        broken.configuration.services.slipway.stacks.team = {
          environment.GREETING = lib.mkForce "third";
          services.front.health.ready.http = "/never";
        };
      };
    };

  testScript = ''
    import json

    units = ["team-several-1", "team-several-2", "team-single-1", "team-front-1", "team-state-1"]

    def pids():
        return {unit: machine.succeed(f"systemctl show -P MainPID {unit}").strip() for unit in units}

    def ask(path):
        return machine.succeed(f"curl -sfk https://team.example.com/{path}/").strip()

    def under_load(switch):
        """Switches in the middle of a load; what the clients saw."""
        machine.succeed("systemctl start load.service")
        machine.sleep(3)
        status, said = machine.execute(f"{switch}/bin/switch-to-configuration test 2>&1")
        machine.sleep(3)
        machine.succeed("systemctl stop load.service")
        return status, said, json.loads(machine.succeed("cat /tmp/load.json"))

    machine.wait_for_unit("team.target")
    machine.wait_for_unit("nginx.service")
    machine.wait_until_succeeds("systemctl is-active team-roll")
    system = machine.succeed("readlink -e /run/current-system").strip()
    machine.succeed("redis-cli -p 3020 set kept yes")
    before = pids()

    with subtest("one that never gets ready"):
        status, said, seen = under_load(f"{system}/specialisation/broken")
        t.assertNotEqual(status, 0)
        t.assertIn("a new front does not become ready, so no replica was touched", said)
        t.assertEqual(seen["failed"], [])
        t.assertEqual(pids(), before)
        t.assertEqual(machine.succeed("systemctl list-units --no-legend 'team-*-trial.service'"), "")
        # Back again: nothing has to change.
        status, said, seen = under_load(system)
        t.assertEqual(status, 0, said)
        t.assertEqual(seen["failed"], [])
        t.assertEqual(pids(), before)

    with subtest("a new generation under load"):
        status, said, seen = under_load(f"{system}/specialisation/next")
        t.assertEqual(status, 0, said)
        t.assertEqual(seen["failed"], [])
        t.assertGreater(seen["answered"], 100)
        after = pids()
        t.assertEqual([unit for unit in units if before[unit] == after[unit]], [])
        t.assertEqual([ask("several"), ask("single"), ask("front")], ["first", "second", "second"])
        t.assertEqual(machine.succeed("redis-cli -p 3020 get kept").strip(), "yes")
        t.assertEqual(machine.succeed("systemctl list-units --all --no-legend 'team-*-trial.service'"), "")

    with subtest("back again"):
        status, said, seen = under_load(system)
        t.assertEqual(status, 0, said)
        t.assertEqual(seen["failed"], [])
        t.assertEqual([ask("several"), ask("single"), ask("front")], ["first", "first", "first"])

    with subtest("only the proxy and the service reach its socket"):
        connect = "curl -sf --unix-socket /run/slipway-sockets/team/front-1/socket http://front/"
        machine.succeed(f"setpriv --reuid nginx --regid nginx --init-groups {connect}")
        machine.succeed(f"setpriv --reuid team --regid team --init-groups {connect}")
        machine.fail(f"setpriv --reuid nobody --regid nogroup --clear-groups {connect}")

    with subtest("a link in the place of a socket leads nowhere"):
        folder = "/run/slipway-sockets/team/front-1"
        machine.succeed(f"mv {folder}/socket {folder}/own && ln -s own {folder}/socket")
        machine.fail(f"setpriv --reuid nginx --regid nginx --init-groups {connect}")
        machine.succeed(f"mv {folder}/own {folder}/socket")

    with subtest("a program cannot prolong its stop"):
        machine.succeed("sleep 1 && timeout 20 systemctl restart team-stubborn-1")

    with subtest("a crash leaves no socket in the way"):
        machine.succeed("systemctl kill --signal KILL team-front-1")
        machine.wait_until_succeeds("curl -sfk https://team.example.com/front/", timeout=30)

    with subtest("a replica that hangs"):
        old = pids()["team-several-1"]
        machine.succeed(f"kill -STOP {old}")
        machine.wait_until_succeeds("journalctl --unit team-several-1-live | grep -q '3 of 3'", timeout=60)
        machine.wait_until_succeeds(f"! kill -0 {old} && systemctl is-active team-several-1", timeout=60)

    # The load can tell: without a replica nobody answers.
    machine.succeed("systemctl start load.service && sleep 2 && systemctl stop team-single-1 && sleep 2")
    machine.succeed("systemctl stop load.service")
    t.assertGreater(len(json.loads(machine.succeed("cat /tmp/load.json"))["failed"]), 0)
  '';
}
