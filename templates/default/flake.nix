{
  description = "An api and a worker, built and run by Slipway";

  inputs = {
    # The address that you have Slipway from.
    slipway.url = "git+https://git.example.org/slipway";
    nixpkgs.follows = "slipway/nixpkgs";
  };

  outputs =
    {
      self,
      nixpkgs,
      slipway,
    }:
    let
      workspace =
        system:
        slipway.lib.mkWorkspace {
          pkgs = nixpkgs.legacyPackages.${system};
          src = ./.;
          images = import ./images.nix { inherit (slipway.lib) contract; };
          services = [ "postgres" ];
          revision = self.rev or self.dirtyRev or null;
          inherit (self) lastModified;
        };
      each = nixpkgs.lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
      ];
    in
    {
      packages = each (system: (workspace system).packages // (workspace system).images);
      checks = each (system: (workspace system).checks);
      devShells = each (system: {
        default = (workspace system).devShell;
      });
      nixosConfigurations.web-1 = nixpkgs.lib.nixosSystem {
        specialArgs = { inherit (workspace "x86_64-linux") packages; };
        modules = [
          slipway.nixosModules.default
          slipway.nixosModules.agenix
          ./hosts/hardware.nix
          ./hosts/web-1.nix
        ];
      };
    };
}
