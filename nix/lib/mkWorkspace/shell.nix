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
  # crane's scope has the compiler only when a toolchain was given.
  hasToolchain = craneLib ? rustc;
in
craneLib.devShell (
  {
    inherit (common) env;
    packages = [
      pkgs.cargo-deny
      pkgs.cargo-nextest
      # nixpkgs' sources of the standard library come with it, and fit nixpkgs' compiler alone.
      (if hasToolchain then pkgs.rust-analyzer-unwrapped else pkgs.rust-analyzer)
      pkgs.taplo
    ]
    ++ lib.optional (lib.elem "postgres" services) pkgs.sqlx-cli
    ++ common.nativeBuildInputs
    ++ common.buildInputs
    ++ running.inputs
    ++ testInputs
    ++ shellInputs;
  }
  # Sources of the standard library, for rust-analyzer: those of the compiler, which may come without.
  // (
    if hasToolchain then
      {
        shellHook = ''
          slipwayStd=$(rustc --print sysroot)/lib/rustlib/src/rust/library
          if [ -d "$slipwayStd" ]; then export RUST_SRC_PATH=$slipwayStd; else unset RUST_SRC_PATH; fi
          unset slipwayStd
        '';
      }
    else
      { RUST_SRC_PATH = "${pkgs.rustPlatform.rustLibSrc}"; }
  )
)
