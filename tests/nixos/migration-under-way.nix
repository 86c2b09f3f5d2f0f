# A switch is killed in the middle of a migration: the way back waits for it, and does not start another one beside it.
{ lib, ... }:
{
  nodes.machine =
    { pkgs, ... }:
    let
      app = import ./common/app.nix { inherit lib pkgs; };
      # Leaves a mark for as long as it is at work, and one when it has ended well.
      migrate =
        name: seconds:
        pkgs.writeShellScript "migrate-${name}" ''
          set -eu
          if ! mkdir /var/lib/shop/at-work; then echo "another migration is at work" >&2; exit 1; fi
          ${pkgs.coreutils}/bin/sleep ${toString seconds}
          rmdir /var/lib/shop/at-work
          touch /var/lib/shop/${name}
        '';
    in
    {
      services.slipway.stacks.shop = app { migrations.command = [ "${migrate "first" 0}" ]; };
      systemd.services.shop-migrate.serviceConfig.StateDirectory = "shop";
      specialisation.long.configuration.services.slipway.stacks.shop.migrations.command = lib.mkForce [
        "${migrate "long" 30}"
      ];
    };

  testScript = ''
    machine.wait_for_unit("shop-roll.service")
    good = machine.succeed("readlink -e /run/current-system").strip()
    machine.succeed(
        f"systemd-run --unit switch --property KillMode=control-group {good}/specialisation/long/bin/switch-to-configuration test"
    )
    machine.wait_until_succeeds("test -e /var/lib/shop/at-work", timeout=60)
    machine.succeed("systemctl kill --signal KILL switch.service")

    status, said = machine.execute(f"{good}/bin/switch-to-configuration test 2>&1")
    t.assertEqual(status, 0, said)
    machine.succeed("test -e /var/lib/shop/long && test ! -e /var/lib/shop/at-work")
    t.assertEqual(machine.succeed("systemctl --failed --no-legend"), "")
  '';
}
