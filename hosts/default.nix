# nixosConfigurations: example hosts for production, each complete but for its hardware (see README.md).
{ self, nixpkgs }:
let
  host =
    modules:
    nixpkgs.lib.nixosSystem {
      system = "x86_64-linux";
      specialArgs = { inherit self; };
      modules = [
        self.nixosModules.default
        ./placeholder.nix
      ]
      ++ modules;
    };
in
{
  all-in-one = host [ ./all-in-one ];
  team = host [ ./team ];

  # Postgres on three hosts: see ha/default.nix.
  ha-1 = host [
    ./ha
    { networking.hostName = "ha-1"; }
  ];
  ha-2 = host [
    ./ha
    { networking.hostName = "ha-2"; }
  ];
  ha-3 = host [
    ./ha
    { networking.hostName = "ha-3"; }
  ];

  # Two hosts with one public address: see edge/default.nix.
  edge-1 = host [
    ./edge
    { networking.hostName = "edge-1"; }
  ];
  edge-2 = host [
    ./edge
    { networking.hostName = "edge-2"; }
  ];

  # One fleet on a private network: see prod/fleet.nix.
  prod-edge = host [
    self.nixosModules.agenix
    ./prod/edge.nix
  ];
  prod-app-1 = host [
    self.nixosModules.agenix
    ./prod/app.nix
    { networking.hostName = "prod-app-1"; }
  ];
  prod-app-2 = host [
    self.nixosModules.agenix
    ./prod/app.nix
    { networking.hostName = "prod-app-2"; }
  ];
  prod-db = host [
    self.nixosModules.agenix
    ./prod/db.nix
  ];
  prod-monitor = host [
    self.nixosModules.agenix
    ./prod/monitor.nix
  ];
}
