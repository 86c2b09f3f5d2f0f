# What an image really holds, read from what nix2container wrote of it.
{ lib, pkgs }:
let
  inherit (pkgs.buildPackages) jq runCommand writeText;
  json = name: value: writeText name (builtins.toJSON value);

  # Names alone tell them; the programs of the workspace may have any name.
  strangers = [
    "sh"
    "ash"
    "bash"
    "busybox"
    "csh"
    "dash"
    "elvish"
    "fish"
    "ksh"
    "mksh"
    "nu"
    "pwsh"
    "rbash"
    "tcsh"
    "toybox"
    "xonsh"
    "yash"
    "zsh"
    "apk"
    "apt"
    "apt-get"
    "aptitude"
    "dnf"
    "dpkg"
    "microdnf"
    "nix"
    "nix-build"
    "nix-channel"
    "nix-daemon"
    "nix-env"
    "nix-shell"
    "nix-store"
    "pacman"
    "rpm"
    "yum"
    "zypper"
  ];

  # As the header of a program has them.
  machine =
    {
      amd64 = 62;
      arm64 = 183;
      riscv64 = 243;
    }
    .${pkgs.stdenv.hostPlatform.go.GOARCH} or null;
in
name: image:
let
  inherit (lib) escapeShellArg escapeShellArgs;
  forbidden = lib.subtractLists image.allow strangers;
  files = map (file: file // { mode = if file.mode == null then "-" else file.mode; }) image.files;
in
runCommand "check-${name}" { nativeBuildInputs = [ jq ]; } ''
  name=${escapeShellArg name}
  json=${image}
  fail() { echo "$name: $1" >&2; exit 1; }

  # Empty settings are left out when they are written.
  lost=$(jq -r --slurpfile want ${json "config" image.config} '."image-config" as $got | $want[0] | to_entries
    | map(select([.value] | inside([[], {}, "", null]) | not) | select($got[.key] != .value) | .key) | join(", ")' $json)
  [ -z "$lost" ] || fail "does not have what was asked of $lost"
  [ "$(jq -r .arch $json)" = ${image.arch} ] || fail "is for another kind of machine"

  jq -r '.layers[].paths[].path' $json | sort -u > paths
  # Those that lie at the root, the uppermost first.
  jq -r '[.layers[].paths[] | select(.path as $path | .options.rewrite.regex // "^$" | . as $regex | $path | test($regex)).path]
    | reverse[]' $json > roots
  # Where a path of the image comes from.
  origin() {
    case $1 in ${builtins.storeDir}/*) echo "$1"; return ;; esac
    while read -r root; do
      if [ -e "$root$1" ] || [ -L "$root$1" ]; then echo "$root$1"; return; fi
    done < roots
  }
  storePath() { cut -d / -f 1-4 <<< "$1"; }

  for program in "$(jq -r '."image-config".Entrypoint[0]' $json)" ${
    escapeShellArgs (map (bin: "/bin/${bin}") image.bins)
  }; do
    at=$(origin "$program")
    [ -n "$at" ] || fail "is to hold $program and does not"
    found=$(readlink -m "$at")
    grep -qxF "$(storePath "$found")" paths || fail "holds a link to $found and not what it leads to"
    [ -f "$found" ] && [ -x "$found" ] || fail "holds $program, which cannot be started"
    ${lib.optionalString (machine != null) ''
      [ "$(head -c 4 "$found")" != $'\x7fELF' ] || [ "$(od -An -t u2 -j 18 -N 2 "$found" | tr -d ' ')" = ${toString machine} ] \
        || fail "is for ${image.arch} and holds $program, which is not"
    ''}
  done

  folder=$(jq -r '."image-config".WorkingDir' $json)
  [ "$folder" = / ] || [ -d "$(origin "$folder")" ] \
    || fail "starts in $folder, which it does not hold: add { path = \"$folder\"; } to images.$name.contents"

  # What belongs to the workspace may be called as it likes.
  for bin in ${escapeShellArgs image.bins}; do
    storePath "$(readlink -f "$(origin "/bin/$bin")")"
  done > own
  while read -r path; do
    find -L "$path" -type f \( -perm /6000 -o -perm /111 \( ${
      lib.concatMapStringsSep " -o " (stranger: "-name ${escapeShellArg stranger}") forbidden
    } \) \) > found 2> /dev/null || true
    while read -r found; do
      grep -qxF "$(storePath "$(readlink -f "$found")")" own \
        || fail "holds $found: no shell, package manager or setuid file belongs into it (images.$name.allow)"
    done < found
  done < paths
  found=$(jq -r '[.layers[].paths[].options.perms[]?.mode // "" | select(test("^0*[2-7][0-7]{3}$"))] | join(" ")' $json)
  [ -z "$found" ] || fail "has a file with the mode $found: no setuid file belongs into it"

  while read -r path; do
    read -r mode && read -r owner
    at=$(origin "$path")
    [ -n "$at" ] || fail "lacks $path of its contents"
    found=$(jq -r --arg at "$at" '[.layers[].paths[].options.perms[]? | select(.regex as $regex | $at | test($regex))]
      | last // { mode: "", uid: 0, gid: 0 } | (if .mode == "" then "-" else .mode end) + " \(.uid):\(.gid)"' $json)
    [ "$found" = "$mode $owner" ] || fail "has $path as $found, and not as $mode $owner"
  done < <(jq -r '.[] | .path, .mode, "\(.uid):\(.gid)"' ${json "files" files})

  bytes=$(jq '[.layers[].size] | add' $json)
  ${lib.optionalString (image.maxMiB != null) ''
    [ "$bytes" -le ${toString (image.maxMiB * 1024 * 1024)} ] \
      || fail "is $bytes bytes unpacked; ${toString image.maxMiB} MiB are allowed (images.$name.maxMiB)"
  ''}
  jq '{ user: ."image-config".User, bytes: ([.layers[].size] | add), layers: [.layers[] | { size, paths: [.paths[].path] }] }' \
    $json | tee $out
''
