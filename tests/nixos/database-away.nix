# A database on another host is away: at boot it is waited for, and it keeps nobody from going back.
{ lib, ... }:
{
  nodes.machine =
    { pkgs, ... }:
    let
      app = import ./common/app.nix { inherit lib pkgs; };
      # Asks the database for a thing, as every migration does.
      migrate = pkgs.writeShellScript "migrate" ''
        exec ${pkgs.postgresql_17}/bin/psql shop --host=/run/postgresql --command="SELECT 1"
      '';
    in
    {
      services.slipway.stacks.shop = app {
        database.urlFile = "/root/url";
        migrations.command = [ "${migrate}" ];
      };
      system.activationScripts.url.text = "install -m 0600 ${pkgs.writeText "url" "postgres:///shop"} /root/url";
      specialisation.next.configuration.services.slipway.stacks.shop.environment.GREETING = "hello";
      # The other host: nobody here starts it.
      services.postgresql = {
        enable = true;
        ensureDatabases = [ "shop" ];
        ensureUsers = [
          {
            name = "shop";
            ensureDBOwnership = true;
          }
        ];
      };
      systemd.services.postgresql.wantedBy = lib.mkForce [ ];
      systemd.targets.postgresql.wantedBy = lib.mkForce [ ];
    };

  testScript = ''
    def roll():
        return machine.succeed("systemctl show --property ActiveState --value shop-roll").strip()

    machine.wait_for_unit("shop-api-1.service")
    machine.wait_until_succeeds("journalctl --unit shop-roll | grep -q 'shop-migrate.service did not come up'", timeout=60)
    t.assertIn(roll(), ["activating", "failed"])

    machine.succeed("systemctl start postgresql.target")
    machine.wait_until_succeeds("systemctl is-active shop-roll shop-migrate", timeout=120)
    t.assertEqual(machine.succeed("systemctl --failed --no-legend"), "")
    good = machine.succeed("readlink -e /run/current-system").strip()

    machine.succeed("systemctl stop postgresql.service")
    status, said = machine.execute(f"{good}/specialisation/next/bin/switch-to-configuration test 2>&1")
    t.assertNotEqual(status, 0)
    t.assertIn("shop-migrate.service did not come up", said)
    status, said = machine.execute(f"{good}/bin/switch-to-configuration test 2>&1")
    t.assertEqual(status, 0, said)
    t.assertEqual(machine.succeed("systemctl --failed --no-legend"), "")
  '';
}
