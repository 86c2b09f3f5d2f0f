# packages.compose and packages.kubernetes, and the program that writes these and all else that is committed as rendered.
{
  pkgs,
  options,
  snapshots,
}:
let
  inherit (pkgs) lib;
  files = import ./files.nix;
  folder =
    name:
    let
      inside = lib.filterAttrs (path: _: lib.hasPrefix "${name}/" path) files;
    in
    pkgs.linkFarm "slipway-${name}" (
      lib.mapAttrs' (
        path: text:
        lib.nameValuePair (lib.removePrefix "${name}/" path) (pkgs.writeText (baseNameOf path) text)
      ) inside
    );
in
rec {
  compose = folder "compose";
  kubernetes = folder "kubernetes";
  render = pkgs.writeShellApplication {
    name = "render";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.findutils
    ];
    text = ''
      [ -e flake.nix ] || { echo "run it at the root of the checkout" >&2; exit 1; }
      for name in compose kubernetes; do
        mkdir -p deploy/$name
      done
      install -m 0644 ${compose}/* deploy/compose/
      install -m 0644 ${kubernetes}/* deploy/kubernetes/
      install -m 0644 ${options.rendered} docs/options.md
      find tests/eval/snapshots -type f ! -name '*.nix' -delete
      cp -rL --no-preserve=mode ${snapshots}/. tests/eval/snapshots/
    '';
  };
}
