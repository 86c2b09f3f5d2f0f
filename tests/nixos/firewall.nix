# From another machine only SSH, HTTP and HTTPS answer, whatever listens.
{ lib, ... }:
{
  nodes = {
    server =
      { pkgs, ... }:
      let
        app = import ./common/app.nix { inherit lib pkgs; };
        certificate = import ./common/certificate.nix {
          inherit pkgs;
          name = "shop.example.com";
        };
      in
      {
        services.slipway.stacks.shop = app {
          proxy = {
            domain = "shop.example.com";
            tls = {
              certificate = "${certificate}/certificate.pem";
              key = "/etc/shop-key.pem";
            };
          };
        };
        environment.etc."shop-key.pem".source = "${certificate}/key.pem";
        # Somebody's mistake: a backend that listens to everybody.
        systemd.services = lib.genAttrs [ "mistake-5432" "mistake-6379" "mistake-9200" ] (name: {
          wantedBy = [ "multi-user.target" ];
          serviceConfig.ExecStart = "${pkgs.socat}/bin/socat TCP-LISTEN:${lib.removePrefix "mistake-" name},fork,reuseaddr EXEC:date";
        });
      };
    client =
      { pkgs, ... }:
      {
        environment.systemPackages = [ pkgs.netcat ];
      };
  };

  testScript = ''
    start_all()
    server.wait_for_unit("nginx.service")
    server.wait_for_open_port(443)
    for port in [5432, 6379, 9200]:
        server.wait_for_open_port(port)
    # Nothing on this machine asks for it.
    client.systemctl("start network-online.target")
    client.wait_for_unit("network-online.target")
    client.wait_until_succeeds("nc -z -w 2 server 443")

    for port in [22, 80, 443]:
        client.succeed(f"nc -z -w 2 server {port}")
    for port in [5432, 6379, 8081, 9200]:
        client.fail(f"nc -z -w 2 server {port}")
    assert "udp dport 443 accept" in server.succeed("nft list ruleset")
  '';
}
