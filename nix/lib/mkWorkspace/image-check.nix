# What an image really holds, read from what nix2container wrote of it.
{ pkgs, contract }:
name: image:
pkgs.runCommand "check-${name}" { nativeBuildInputs = [ pkgs.jq ]; } ''
  json=${image}
  fail() { echo "${name}: $1" >&2; exit 1; }
  user=$(jq -r '."image-config".User' $json)
  [ "$user" = ${toString contract.user.uid}:${toString contract.user.gid} ] || fail "runs as '$user'"
  jq -e '."image-config".Entrypoint | length == 1' $json >/dev/null || fail "has no single program to start"
  program=$(jq -r '."image-config".Entrypoint[0]' $json)
  jq -r '.layers[].paths[].path' $json | sort -u > paths
  found=
  while read -r path; do
    [ ! -x "$path$program" ] || found=$(readlink -f "$path$program")
  done < paths
  [ -n "$found" ] || fail "starts $program, which it does not hold"
  grep -qxF "''${found%/bin/*}" paths || fail "holds a link to $found and not what it leads to"
  while read -r path; do
    found=$(find -L "$path" \( -type f -perm -u+s -o -path '*/bin/*' \
      \( -name sh -o -name '*sh' -o -name busybox -o -name 'nix*' -o -name apk -o -name 'apt*' \) \) | head -n 1)
    [ -z "$found" ] || fail "holds $found: no shell, package manager or setuid program belongs into it"
  done < paths
  bytes=$(jq '[.layers[].size] | add' $json)
  [ "$bytes" -le ${toString (image.maxMiB * 1024 * 1024)} ] \
    || fail "is $bytes bytes unpacked; ${toString image.maxMiB} MiB are allowed (images.${name}.maxMiB)"
  jq '{ user: ."image-config".User, bytes: ([.layers[].size] | add), layers: [.layers[] | { size, paths: [.paths[].path] }] }' \
    $json | tee $out
''
