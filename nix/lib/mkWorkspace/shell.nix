# The development shell: what building, testing and releasing the workspace needs, so that nothing is installed by hand.
{
  lib,
  pkgs,
  craneLib,
  common,
  services,
  testInputs,
  shellInputs,
}:
let
  running = import ./services.nix { inherit lib pkgs services; };
in
craneLib.devShell {
  inherit (common) env;
  packages = [
    pkgs.cargo-deny
    pkgs.cargo-nextest
    pkgs.rust-analyzer
    pkgs.taplo
  ]
  ++ lib.optional (lib.elem "postgres" services) pkgs.sqlx-cli
  ++ common.nativeBuildInputs
  ++ common.buildInputs
  ++ running.inputs
  ++ testInputs
  ++ shellInputs;
  # Sources of the standard library, for rust-analyzer.
  RUST_SRC_PATH = "${pkgs.rustPlatform.rustLibSrc}";
}
