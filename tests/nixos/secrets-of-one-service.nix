# A program cannot read the secrets of another one, although both have the same user. A changed secret restarts only the
# program that has it.
{
  nodes.machine =
    { pkgs, ... }:
    {
      system.activationScripts.secrets = ''
        umask 077
        mkdir -p /var/lib/secrets
        echo the-secret-of-web > /var/lib/secrets/web
        echo the-secret-of-spy > /var/lib/secrets/spy
      '';
      services.slipway.stacks.shop = {
        database.enable = false;
        cache.enable = false;
        backup.enable = false;
        services.web = {
          package = pkgs.writeShellScriptBin "web" "exec sleep infinity";
          secrets.OWN = "/var/lib/secrets/web";
        };
        services.spy = {
          # Every way there is: the files, the folders of credentials, and other processes' roots and environments.
          package = pkgs.writeShellScriptBin "spy" ''
            while true; do
              for file in /var/lib/secrets/* /run/credentials/*/*; do
                echo "$file: $(cat "$file" 2>&1)"
              done
              for process in /proc/[0-9]*; do
                (cd "$process" && grep -ra "" root/run/credentials) 2>&1
                grep -a OWN_FILE "$process/environ" 2>&1
              done
              echo round
              sleep 5
            done
          '';
          path = [
            pkgs.coreutils
            pkgs.gnugrep
          ];
          secrets.SPY = "/var/lib/secrets/spy";
        };
      };
    };

  testScript = ''
    def pid(unit):
        return machine.succeed(f"systemctl show --property MainPID --value {unit}").strip()

    machine.wait_for_unit("shop.target")
    machine.wait_for_unit("shop-roll.service")

    with subtest("the spy reads its own secret and no other"):
        machine.wait_until_succeeds("journalctl --unit shop-spy-1 --output cat | grep -q round", timeout=60)
        machine.succeed("journalctl --unit shop-spy-1 --output cat | grep -q the-secret-of-spy")
        machine.fail("journalctl --unit shop-spy-1 --output cat | grep -q -e the-secret-of-web -e OWN_FILE")

    with subtest("a changed secret restarts the program that has it"):
        web, spy = pid("shop-web-1"), pid("shop-spy-1")
        machine.succeed("echo another > /var/lib/secrets/web")
        machine.succeed("systemctl restart shop-roll.service")
        t.assertNotEqual(pid("shop-web-1"), web)
        t.assertEqual(pid("shop-spy-1"), spy)
  '';
}
