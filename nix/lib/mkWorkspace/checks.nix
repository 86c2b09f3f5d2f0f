# Checks made from what there is: every package and image has its own, the workspace has cargo's.
{
  lib,
  pkgs,
  craneLib,
  sources,
  built,
  packages,
  images,
  contract,
  hasDeny,
  services,
  testInputs,
  nextestArgs,
}:
let
  running = import ./services.nix { inherit lib pkgs services; };
  shared = built.sharedByChecks // {
    cargoArtifacts = built.checkArtifacts;
    src = sources.whole;
    doInstallCargoArtifacts = false;
  };

  rust = {
    rust-clippy = craneLib.cargoClippy (
      shared // { cargoClippyExtraArgs = "--all-targets -- --deny warnings"; }
    );
    rust-doc = craneLib.cargoDoc (
      shared
      // {
        src = sources.documented;
        # Says at once what is wrong in all crates. One crate after another: the search index depends on which comes first.
        cargoDocExtraArgs = "--no-deps --keep-going --jobs 1";
        preBuild = "cargoWithProfile check ${shared.cargoExtraArgs}";
        env = shared.env // {
          RUSTDOCFLAGS = "--deny warnings";
        };
      }
    );
    rust-fmt = craneLib.cargoFmt (removeAttrs shared [ "cargoExtraArgs" ]);
    rust-toml = craneLib.taploFmt (shared // { src = sources.toml; });
    rust-nextest = craneLib.cargoNextest (
      shared
      // {
        src = sources.tested;
        cargoNextestExtraArgs = nextestArgs;
        nativeBuildInputs = shared.nativeBuildInputs ++ running.inputs ++ testInputs;
        preCheck = running.start;
        postCheck = running.stop;
        # Tests listen on the loopback.
        __darwinAllowLocalNetworking = true;
      }
    );
  };

  # What an image really holds, read from what nix2container wrote of it.
  imageCheck =
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
    '';

  # Without its file cargo deny would refuse every licence.
  denied = lib.optionalAttrs hasDeny {
    rust-deny = craneLib.cargoDeny (removeAttrs shared [ "cargoExtraArgs" ]);
  };

  prefixed =
    prefix: check: lib.mapAttrs' (name: value: lib.nameValuePair "${prefix}${name}" (check name value));
in
rust
// denied
// prefixed "package-" (_: package: package) packages
// lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux (prefixed "" imageCheck images)
