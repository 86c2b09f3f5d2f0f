# hosts/ha and hosts/edge in the place of single hosts of hosts/prod: the app hosts and the members agree.
{
  host,
  agenix,
  lib,
  refused,
  ...
}:
let
  # hosts/prod/app.nix with the one line changed that hosts/ha/client.nix names.
  app = name: [
    agenix.nixosModules.default
    ../../modules/agenix.nix
    ../../hosts/prod/app.nix
    ../../hosts/ha/client.nix
    {
      disabledModules = [ ../../hosts/prod/data.nix ];
      networking.hostName = name;
    }
  ];
  member = name: [
    ../../hosts/ha
    {
      networking.hostName = name;
      _module.args.self.nixosConfigurations = { };
    }
  ];
  apps = [
    "prod-app-1"
    "prod-app-2"
  ];
  fleet = import ../../hosts/prod/fleet.nix;
  one = host (app "prod-app-1");
  ha = host (member "ha-1");
  variables = one.services.slipway.stacks.slipway.environment;
in
[
  {
    name = "hosts/ha: app hosts on the cluster have no contradictions";
    got = map (name: refused (app name)) apps;
    want = [
      [ ]
      [ ]
    ];
  }
  {
    name = "hosts/ha: the app hosts' programs use whoever leads, and Redis by its Sentinels";
    got = {
      inherit (variables) DATABASE_HOST DATABASE_PORT REDIS_SENTINELS;
      remote = one.systemd.services ? slipway-cache-tunnel;
    };
    want = {
      DATABASE_HOST = "main.cluster.internal";
      DATABASE_PORT = "15432";
      REDIS_SENTINELS = "10.1.0.21:26379,10.1.0.22:26379,10.1.0.23:26379";
      remote = false;
    };
  }
  {
    name = "hosts/ha: members let the fleet's app hosts in, and know the roles that they log in as";
    got = {
      clients = lib.subtractLists ha.services.slipway.cluster.clients (
        map (name: fleet.addresses.${name}) fleet.apps
      );
      roles = map (of: of.services.slipway.stacks.slipway.database.owner.role) [
        ha
        one
      ];
    };
    want = {
      clients = [ ];
      roles = [
        "slipway-owner"
        "slipway-owner"
      ];
    };
  }
  {
    name = "hosts/ha: no address of the cluster is another host's of the fleet";
    got = lib.intersectLists (lib.attrValues fleet.addresses) (
      map (one: one.address) (lib.attrValues (import ../../hosts/ha/cluster.nix).members)
    );
    want = [ ];
  }
]
