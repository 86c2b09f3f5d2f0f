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
      # The stack without NixOS.
      stack = system: {
        pkgs = nixpkgs.legacyPackages.${system};
        name = "jobs";
        stack = import ./stack.nix { inherit (workspace system) packages; };
      };
      each = nixpkgs.lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
      ];
    in
    {
      packages = each (
        system:
        (workspace system).packages
        // (workspace system).images
        // {
          compose = slipway.lib.compose (stack system);
          kubernetes = slipway.lib.kubernetes (stack system // { gateway.class = "istio"; });
        }
      );
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
