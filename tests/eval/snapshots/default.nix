# The snapshots as they should be now: nix-build tests/eval/snapshots -I nixpkgs=flake:nixpkgs && cp result/* tests/eval/snapshots/
{
  pkgs ? import <nixpkgs> { },
}:
let
  inherit (import ../tools.nix { inherit pkgs; }) host stack lib;
in
pkgs.linkFarm "snapshots" (
  lib.mapAttrs pkgs.writeText (import ./texts.nix { inherit host stack lib; })
)
