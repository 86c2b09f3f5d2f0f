# The type of a secret's path: a file of the running host, never one of the Nix store, which every user can read.
# The description is what a wrong value's error shows, so it says the cure.
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
  description =
    "path of a file on the running host, as text, outside the Nix store and the flake "
    + "(put the secret on the host with modules/agenix.nix or another tool and give its path there, such as \"/run/agenix/name\")";
}
