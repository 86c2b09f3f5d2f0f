# A release with other kernel parameters is booted once, and becomes the boot default only at its commit. One whose kernel
# panics leaves the machine on what it ran before.
{ lib, ... }:
{
  nodes.machine = {
    imports = [ ./common/releases.nix ];
    # What boots must be the boot loader's to say, and not the test's.
    virtualisation = {
      useBootLoader = true;
      useEFIBoot = true;
      diskSize = 8192;
    };
    boot.loader = {
      systemd-boot.enable = true;
      efi.canTouchEfiVariables = true;
      timeout = 0;
    };
    specialisation = {
      kernel.configuration = {
        boot.kernelParams = [ "slipway.release=kernel" ];
        environment.etc.release.text = "kernel";
      };
      # The kernel finds no program to begin with, and restarts after a second.
      panics.configuration.boot.kernelParams = lib.mkAfter [
        "panic=1"
        "rdinit=/nonexistent"
        "root=/dev/nonexistent"
      ];
      sick.configuration = {
        boot.kernelParams = [ "slipway.release=sick" ];
        services.slipway.agent.checks.nobody-listens = {
          type = "tcp";
          address = "127.0.0.1:1";
        };
      };
    };
  };

  testScript = ''
    # It restarts by itself.
    machine.start(allow_reboot=True)
  ''
  + builtins.readFile ./common/join.py
  + builtins.readFile ./common/releases.py
  + ''

    machine.succeed("nix-env --profile /nix/var/nix/profiles/system --set /run/current-system")
    first = live()
    for name in ["kernel", "panics", "sick"]:
        closures[name] = machine.succeed(f"readlink -e /run/current-system/specialisation/{name}").strip()


    def reboot_into(name):
        """Starts a rollout that reboots, and waits for the machine to be back."""
        before = machine.succeed("cat /proc/sys/kernel/random/boot_id")
        settings = ["reboot=when_needed", "verify.passes=2", "verify.timeout_seconds=60", "bake_seconds=5"]
        status, said = start(name, settings)
        t.assertEqual(status, 0, said)
        machine.wait_for_console_text("reboot: Restarting system")
        machine.connected = False
        machine.wait_for_unit("slipway.target")
        t.assertNotEqual(machine.succeed("cat /proc/sys/kernel/random/boot_id"), before)
        machine.wait_until_succeeds("curl -sf --cacert $SLIPWAY_CA_FILE $SLIPWAY_URL/api/v1/monitoring/ready", timeout=120)


    def ends(state):
        machine.wait_until_succeeds(f"slipway --json rollout list --env prod | jq -e '.items[0].state == \"{state}\"'", timeout=300)
        settled()
        machine.fail("ls /nix/var/nix/profiles/system-profiles/slipway-next")
        machine.fail("ls /boot/loader/entries | grep slipway-next")
        machine.fail("ls /etc/systemd/system.control | grep slipway-deadman")


    with subtest("without a word about reboots it is refused, and the machine untouched"):
        status, said = start("kernel", ["bake_seconds=5"], "--watch --timeout 300")
        t.assertNotEqual(status, 0, said)
        t.assertIn("allow_pending_reboot", said)
        t.assertEqual((live(), boot_default()), (first, first))

    with subtest("a release is booted once and then committed"):
        reboot_into("kernel")
        machine.succeed("grep slipway.release=kernel /proc/cmdline")
        ends("succeeded")
        t.assertEqual((live(), boot_default()), (closures["kernel"], closures["kernel"]))
        machine.succeed("grep -h slipway.release=kernel /boot/loader/entries/$(sed -n 's/^default //p' /boot/loader/loader.conf)")

    with subtest("what is not healthy after its boot is booted back from"):
        reboot_into("sick")
        machine.wait_for_console_text("reboot: Restarting system")
        machine.connected = False
        machine.wait_for_unit("slipway.target")
        ends("reverted")
        t.assertEqual((live(), boot_default()), (closures["kernel"], closures["kernel"]))

    with subtest("a kernel that panics leaves the machine on its prior"):
        reboot_into("panics")
        ends("reverted")
        t.assertEqual((live(), boot_default()), (closures["kernel"], closures["kernel"]))

    with subtest("one host reboots and stays on its release"):
        machine.succeed("slipway host reboot machine")
        machine.wait_for_console_text("reboot: Restarting system")
        machine.connected = False
        machine.wait_for_unit("slipway.target")
        machine.wait_until_succeeds("curl -sf --cacert $SLIPWAY_CA_FILE $SLIPWAY_URL/api/v1/monitoring/ready", timeout=120)
        ends("succeeded")
        machine.succeed("slipway audit verify")
  '';
}
