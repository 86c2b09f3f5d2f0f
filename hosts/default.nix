# nixosConfigurations: example hosts for production, each complete but for its hardware (see README.md).
{ self, nixpkgs }:
let
  host =
    modules:
    nixpkgs.lib.nixosSystem {
      system = "x86_64-linux";
      modules = [
        self.nixosModules.default
        ./placeholder.nix
      ]
      ++ modules;
    };
in
{
  all-in-one = host [ ./all-in-one ];
}
