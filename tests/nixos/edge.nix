# Two hosts with nginx share an address: one has it at a time, it moves without a lost request when it is handed over, and
# within seconds when its host is cut off power.
{ lib, ... }:
let
  domain = "shop.example.com";
  # In the order of their names, after `asker`.
  members = {
    edge1.address = "192.168.1.2";
    edge2.address = "192.168.1.3";
  };
  edge =
    { pkgs, ... }:
    let
      app = import ./common/app.nix { inherit lib pkgs; };
      certificate = import ./common/certificate.nix {
        inherit pkgs;
        name = domain;
      };
    in
    {
      networking.firewall.enable = true;
      networking.nftables.enable = true;
      services.slipway = {
        floating.edge = {
          inherit members;
          addresses = [ "192.168.1.10/24" ];
          interface = "eth1";
          routerId = 51;
        };
        stacks.shop = app {
          proxy = {
            inherit domain;
            tls = {
              certificate = "${certificate}/certificate.pem";
              key = "/etc/shop-key.pem";
            };
          };
        };
      };
      # Any user may read it: it is the store's already.
      environment.etc."shop-key.pem".source = "${certificate}/key.pem";
    };
in
{
  nodes = lib.mapAttrs (_: _: edge) members // {
    asker =
      { pkgs, ... }:
      {
        environment.systemPackages = [
          pkgs.curl
          pkgs.python3
        ];
        environment.etc = {
          "asks.py".source = ./common/asks.py;
          "authority.pem".source = "${
            import ./common/certificate.nix {
              inherit pkgs;
              name = domain;
            }
          }/authority.pem";
        };
        networking.hosts."192.168.1.10" = [ domain ];
      };
  };

  testScript = ''
    import json
    import time

    edges = [edge1, edge2]
    ask = "curl -sf --max-time 2 --cacert /etc/authority.pem https://${domain}/api/v1/monitoring/health"

    def has(edge):
        return edge.execute("ip -4 addr show eth1 | grep -q 192.168.1.10/24")[0] == 0

    def holder(among):
        end = time.monotonic() + 60
        while True:
            holding = [edge for edge in among if has(edge)]
            if len(holding) == 1:
                return holding[0]
            assert time.monotonic() < end, [edge.name for edge in holding]
            time.sleep(0.2)

    def asked_during(fault):
        asker.succeed("systemd-run --unit=asks -E SLIPWAY_CA_FILE=/etc/authority.pem -p StandardOutput=truncate:/tmp/asks "
                      "python3 /etc/asks.py https://${domain}/api/v1/monitoring/health")
        time.sleep(2)
        fault()
        asker.wait_until_succeeds(ask, timeout=60)
        time.sleep(2)
        asker.succeed("systemctl stop asks")
        return json.loads(asker.succeed("cat /tmp/asks"))

    start_all()
    for edge in edges:
        edge.wait_for_unit("shop.target")
        edge.wait_for_unit("nginx.service")
        edge.wait_for_unit("keepalived.service")
    asker.wait_until_succeeds(ask, timeout=120)

    with subtest("one host has the address"):
        first = holder(edges)
        second = next(edge for edge in edges if edge is not first)

    with subtest("nobody else learns whether nginx answers"):
        asker.fail(f"curl -sf --max-time 3 http://{first.name}:${toString (import ../../nix/contract.nix).ports.floating}/")

    with subtest("it is handed over, and no request fails"):
        seen = asked_during(lambda: first.succeed("slipway-hand-over edge"))
        t.assertEqual(seen["failed"], [], seen)
        assert holder(edges) is second

    with subtest("its host is cut off power"):
        seen = asked_during(second.crash)
        assert seen["silent"] < 10, seen
        assert holder([first]) is first

    with subtest("the host comes back, and one has the address"):
        second.start()
        second.wait_for_unit("keepalived.service")
        second.wait_for_unit("nginx.service")
        asker.wait_until_succeeds(ask, timeout=60)
        holder(edges)
  '';
}
