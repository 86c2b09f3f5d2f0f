# The snapshots as they should be now; `nix run .#render` writes them over the committed ones, for `git diff` to show.
{ pkgs }:
let
  inherit (import ../tools.nix { inherit pkgs; })
    host
    stack
    standIn
    lib
    ;
in
pkgs.linkFarm "snapshots" (
  lib.mapAttrs (name: pkgs.writeText (baseNameOf name)) (
    import ./texts.nix {
      inherit
        host
        stack
        standIn
        lib
        ;
    }
  )
)
