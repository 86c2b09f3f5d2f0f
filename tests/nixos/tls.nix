# The proxy speaks TLS 1.2 and 1.3 and nothing older, HTTP/2 and HTTP/3, and only for its own names.
{ lib, ... }:
{
  nodes.machine =
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
          http3 = true;
          limits.requests = {
            perSecond = 5;
            burst = 5;
          };
          tls = {
            certificate = "${certificate}/certificate.pem";
            key = "/etc/shop-key.pem";
          };
        };
      };
      # Any user may read it: it is the store's already.
      environment.etc."shop-key.pem".source = "${certificate}/key.pem";
      networking.hosts."127.0.0.1" = [
        "shop.example.com"
        "other.example.com"
      ];
      environment.systemPackages = [
        pkgs.curl
        pkgs.openssl
      ];
    };

  testScript = ''
    def curl(*arguments):
        return machine.succeed("curl -sk " + " ".join(arguments))

    def handshake(version):
        return machine.execute(
            f"openssl s_client -{version} -cipher DEFAULT@SECLEVEL=0 -connect 127.0.0.1:443 "
            "-servername shop.example.com </dev/null 2>&1"
        )

    status = "-o /dev/null -w '%{http_code} %{http_version}'"
    machine.wait_for_unit("shop.target")
    machine.wait_for_unit("nginx.service")
    machine.wait_until_succeeds("curl -skf https://shop.example.com/api/v1/monitoring/health")

    with subtest("versions of TLS"):
        for version in ["tls1", "tls1_1"]:
            code, output = handshake(version)
            assert code != 0 and "alert protocol version" in output, output
        for version, name in [("tls1_2", "TLSv1.2"), ("tls1_3", "TLSv1.3")]:
            code, output = handshake(version)
            assert code == 0 and name in output, output

    with subtest("HTTP/2, and HTTP/3 is offered"):
        assert curl("--http2", status, "https://shop.example.com/") == "200 2"
        assert "h3=" in curl("-D - -o /dev/null https://shop.example.com/")
        machine.succeed("ss -lun | grep -q ':443 '")

    with subtest("other names are refused"):
        machine.fail("curl -sk https://other.example.com/")
        machine.fail("curl -s http://other.example.com/")
        assert curl(status, "http://shop.example.com/a") == "308 1.1"

    with subtest("metrics are closed, bodies and rates are bounded"):
        machine.sleep(3)
        assert curl(status, "https://shop.example.com/metrics") == "404 2"
        machine.succeed("head -c 5000000 /dev/zero > /tmp/big")
        assert curl(status, "--data-binary @/tmp/big https://shop.example.com/").startswith("413")
        answers = machine.succeed(
            "for i in $(seq 30); do curl -sk -o /dev/null -w '%{http_code}\\n' https://shop.example.com/; done"
        ).split()
        assert "429" in answers and set(answers) <= {"200", "429"}, answers
  '';
}
