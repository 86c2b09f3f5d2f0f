# shellcheck shell=bash
# slipway-telemetry-facts FILE: writes which system runs and what the next boot brings, as metrics.
file=$1
profile=/nix/var/nix/profiles/system

live=$(readlink -f /run/current-system)
default=$(readlink -f "$profile")
generation=$(readlink "$profile" || true)
generation=${generation#system-}
generation=${generation%-link}

# A container has no kernel of its own, so none is older.
kernel_of() { for part in kernel initrd kernel-modules; do readlink -e "$1/$part" || true; done; }
reboot=0
[ "$(kernel_of /run/booted-system)" = "$(kernel_of /run/current-system)" ] || reboot=1
committed=0
[ "$live" != "$default" ] || committed=1

metric() {
  local name=$1 help=$2 value=$3
  printf '# HELP %s %s\n# TYPE %s gauge\n%s\n' "${name%%\{*}" "$help" "${name%%\{*}" "$name $value"
}
{
  metric "slipway_host_system_info{system=\"$live\"}" 'The system that runs.' 1
  metric slipway_host_reboot_needed '1 if the running kernel or its modules are not those of the system that runs.' "$reboot"
  metric slipway_host_live_is_boot_default '1 if the next boot brings the system that runs.' "$committed"
  case $generation in
    '' | *[!0-9]*) ;;
    *) metric slipway_host_boot_generation 'The generation of the next boot.' "$generation" ;;
  esac
} >"$file.new"
mv "$file.new" "$file"
