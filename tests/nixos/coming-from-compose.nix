# docs/coming-from-compose.md on a host: its stack for FastAPI runs as it is written there, with Gunicorn, Celery and Alembic,
# and its commands print what it says.
{ lib, ... }:
let
  pages = import ../eval/pages.nix { inherit lib; };
  page = ../../docs/coming-from-compose.md;
  # The first one; the others are of the move.
  stack = (lib.head (pages.blocks page)).text;
in
{
  nodes.machine =
    { pkgs, ... }:
    let
      certificate = import ./common/certificate.nix {
        inherit pkgs;
        name = "shop.example.com";
      };
    in
    {
      imports = [ (import (builtins.toFile "stack.nix" "{ packages, ... }:\n${stack}")) ];
      _module.args.packages = {
        shop = pkgs.python3.withPackages (ps: [
          ps.alembic
          ps.asyncpg
          ps.celery
          ps.fastapi
          ps.greenlet
          ps.gunicorn
          ps.pydantic-settings
          ps.redis
          ps.sqlalchemy
          ps.uvicorn
          (ps.toPythonModule (
            pkgs.runCommand "shop" { } ''
              mkdir -p $out/${pkgs.python3.sitePackages}
              cp -r ${./common/shop/shop} $out/${pkgs.python3.sitePackages}/shop
            ''
          ))
        ]);
        migrations = ./common/shop/migrations;
      };
      services.slipway.stacks.shop = {
        proxy.tls = {
          certificate = "${certificate}/certificate.pem";
          key = "/etc/shop-key.pem";
        };
        backup.offsite.repository = lib.mkForce "/var/lib/offsite";
      };
      services.slipway.monitoring = {
        enable = true;
        logs.enable = true;
        receivers.ops.webhook.url = "http://127.0.0.1:8080/";
        severities = {
          page = [ "ops" ];
          ticket = [ "ops" ];
        };
      };
      # In the store only for this test.
      system.activationScripts.secrets = ''
        install -d -m 0711 /run/agenix
        umask 077
        printf '%064d' 7 > /run/agenix/shop-secret-key
        echo correct-horse-battery > /run/agenix/restic-password
        echo AWS_ACCESS_KEY_ID=none > /run/agenix/restic-keys
      '';
      # Any user may read it: it is the store's already.
      environment.etc."shop-key.pem".source = "${certificate}/key.pem";
      environment.etc."page.json".text = builtins.toJSON (pages.ofLanguage "sh host" page);
      networking.hosts."127.0.0.1" = [ "shop.example.com" ];
      environment.variables.CURL_CA_BUNDLE = "${certificate}/authority.pem";
      virtualisation.memorySize = 4096;
    };

  testScript = ''
    import json

    def expected(block):
        said = [line.split("  # ", 1)[1] for line in block.splitlines() if "  # " in line]
        return [part for line in said for part in line.split(" … ")]

    machine.wait_for_unit("shop.target")
    machine.wait_for_unit("nginx.service")
    machine.wait_until_succeeds("curl -fsS https://shop.example.com/api/v1/monitoring/health", timeout=120)

    with subtest("an order goes through the api, the queue and the worker"):
        number = json.loads(machine.succeed("curl -fsS -X POST https://shop.example.com/api/v1/orders"))["id"]
        machine.wait_until_succeeds(
            f"curl -fsS https://shop.example.com/api/v1/orders/{number} | grep -q true", timeout=60
        )

    for block in json.loads(machine.succeed("cat /etc/page.json")):
        with subtest(block.splitlines()[0]):
            # Lines reach the store a moment after they were written.
            printed = machine.wait_until_succeeds(f"set -o pipefail; {block}", timeout=60)
            at = 0
            for part in expected(block):
                at = printed.find(part, at)
                assert at >= 0, f"{part} is not in: {printed}"
                at += len(part)
  '';
}
