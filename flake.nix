{
  description = "Slipway: from a Cargo workspace to a fleet in production";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    crane.url = "github:ipetkov/crane";
    # With its own nixpkgs: see docs/decisions/0006-nix2container-nixpkgs.md.
    nix2container.url = "github:nlewo/nix2container";
    agenix = {
      url = "github:ryantm/agenix";
      inputs = {
        nixpkgs.follows = "nixpkgs";
        # Only its tests use them.
        darwin.follows = "";
        home-manager.follows = "";
      };
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      crane,
      nix2container,
      agenix,
    }:
    let
      inherit (nixpkgs) lib;
      linux = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      # x86_64 as long as nixpkgs has it: 26.05 is the last that does.
      darwin = [
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      slipwayLib = import ./nix/lib { inherit crane nix2container; };
      project =
        system:
        import ./nix {
          inherit self agenix;
          inherit (slipwayLib) mkWorkspace workspaceProblems;
          pkgs = nixpkgs.legacyPackages.${system};
        };
      each = systems: output: lib.genAttrs systems (system: (project system).${output});
    in
    {
      lib = slipwayLib;
      # On darwin only what a person runs there.
      packages = each linux "packages" // each darwin "commandLine";
      apps = each linux "apps";
      checks = each linux "checks";
      devShells = each (linux ++ darwin) "devShells";
      formatter = each (linux ++ darwin) "formatter";
      overlays.default = import ./nix/overlay.nix {
        packagesOf =
          pkgs:
          (import ./nix {
            inherit self agenix pkgs;
            inherit (slipwayLib) mkWorkspace workspaceProblems;
          }).packages;
      };
      nixosModules = import ./nix/modules.nix { inherit self agenix; };
      nixosConfigurations = import ./hosts { inherit self nixpkgs; };
      templates.default = {
        path = ./templates/default;
        description = "An api and a worker on Slipway: packages, images, checks and a host";
        welcomeText = "Write the address of Slipway in flake.nix, run `git init && git add --all && nix develop`, then read README.md.";
      };
    };
}
