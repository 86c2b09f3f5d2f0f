# The type of a secret's path: a file of the running host, never in the Nix store, which every user can read. The
# error of a wrong value shows the description, so the description says the cure.
{ lib }:
let
  inherit (lib) types;
  outside = types.pathWith {
    absolute = true;
    inStore = false;
  };
in
# A path literal (./secret) would be copied into the store when it is used.
types.addCheck outside (value: builtins.isString value)
// {
  description = "path on the host, as text, outside the Nix store and the flake, such as \"/run/agenix/name\"";
}
