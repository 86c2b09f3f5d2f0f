# Tests on whole machines: each file of this folder is one behaviour, a module for runNixOSTest, picked up by its name.
# What several need is in common/.
{ pkgs, self }:
let
  inherit (pkgs) lib;
  names = map (lib.removeSuffix ".nix") (
    lib.attrNames (
      lib.filterAttrs (
        file: kind: kind == "regular" && lib.hasSuffix ".nix" file && file != "default.nix"
      ) (builtins.readDir ./.)
    )
  );
  run =
    name:
    pkgs.testers.runNixOSTest {
      imports = [ (./. + "/${name}.nix") ];
      _module.args = { inherit self; };
      inherit name;
      # One that hangs must not hang CI.
      globalTimeout = lib.mkDefault (15 * 60);
      defaults = {
        imports = [
          self.nixosModules.default
          self.nixosModules.agenix
        ];
        documentation.enable = false;
        virtualisation.memorySize = 2048;
      };
    };
in
lib.listToAttrs (map (name: lib.nameValuePair "vm-${name}" (run name)) names)
