# The program that writes what is committed as rendered.
{
  pkgs,
  # Folders.
  cluster,
  compose,
  kubernetes,
  monitoring,
  snapshots,
  # A file.
  options,
}:
let
  # A page for people is beside what is rendered.
  folder = rendered: to: ''
    mkdir -p ${to}
    find ${to} -type f ! -name README.md -delete
    cp -rL --no-preserve=mode ${rendered}/. ${to}/
  '';
in
pkgs.writeShellApplication {
  name = "render";
  runtimeInputs = [
    pkgs.coreutils
    pkgs.findutils
  ];
  text = ''
    [ -e flake.nix ] || { echo "run it at the root of the checkout" >&2; exit 1; }
    ${folder cluster "deploy/cluster"}
    ${folder compose "deploy/compose"}
    ${folder kubernetes "deploy/kubernetes"}
    ${folder monitoring "deploy/monitoring"}
    install -m 0644 ${options} docs/options.md
    find tests/eval/snapshots -type f ! -name '*.nix' -delete
    cp -rL --no-preserve=mode ${snapshots}/. tests/eval/snapshots/
  '';
}
