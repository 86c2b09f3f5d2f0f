# shellcheck shell=sh disable=SC2154 # closure.nix gives the variables
# Builder of closure.nix: puts its texts where an agent looks for them.
set -eu
mkdir -p "$out/bin" "$out/etc/slipway"
printf '%s\n' "$version" >"$out/etc/slipway/version"
if [ -n "$checks" ]; then
  printf '%s\n' "$checks" >"$out/etc/slipway/checks.json"
fi
if [ -n "$script" ]; then
  printf '%s' "$script" >"$out/bin/switch-to-configuration"
  chmod 0555 "$out/bin/switch-to-configuration"
fi
if [ -n "$machine" ]; then
  printf '%s' "$machine" >"$out/system"
fi
