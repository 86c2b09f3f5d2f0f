# etc/slipway/schemas.json: which migrations the stacks bring. The agent compares it with that of the live system.
{ config, lib, ... }:
let
  inherit (import ./lib.nix { inherit config lib; }) stacks;
  brings = lib.filterAttrs (_: stack: stack.database.migrations != [ ]) stacks;
in
{
  config = lib.mkIf (brings != { }) {
    environment.etc."slipway/schemas.json".text = builtins.toJSON {
      stacks = lib.mapAttrs (_: stack: { inherit (stack.database) migrations; }) brings;
    };
  };
}
