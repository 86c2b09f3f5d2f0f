# What cannot be meant of a cluster: each with the option and the cure.
{
  host,
  says,
  lib,
  pkgs,
  standIn,
  ...
}:
let
  tools = import ./cluster-tools.nix { inherit host lib; };
  inherit (tools) members modules;
  option = "services.slipway.cluster";
  refuses =
    name: words: more:
    says "cluster: ${name}" words (modules "ha-1" more);
  other = more: {
    config = tools.config "ha-2" more;
  };
in
[
  (refuses "two members" [ "${option}.members has 2 (ha-1 ha-2)" "3, 5 or 7" ] {
    members = removeAttrs members [ "ha-3" ];
  })
  (refuses "four members" [ "has 4" "3, 5 or 7" ] {
    members = members // {
      ha-4.address = "10.1.0.24";
    };
  })
  (says "cluster: this host is no member" [ "this host is db-9" ''role = "client"'' ] (
    modules "db-9" { }
  ))
  (refuses "two members with one address" [ "10.1.0.22 for ha-2 and ha-3" ] {
    members = members // {
      ha-3.address = "10.1.0.22";
    };
  })
  (refuses "a member by name" [ "ha-3 at db.example.com" "IP addresses" ] {
    members = members // {
      ha-3.address = "db.example.com";
    };
  })
  (refuses "no key and no authority" [ "${option}.authority and ${option}.key are not set" ] {
    authority = null;
    key = null;
  })
  (refuses "one port for two" [ "5432 for patroni and postgres" ] {
    ports.patroni = 5432;
  })
  (refuses "another list of members on another host"
    [ "ha-3 at 10.1.0.23 on ha-1" "ha-3 at 10.9.9.9 on ha-2" ]
    {
      hosts.ha-2 = other {
        members = members // {
          ha-3.address = "10.9.9.9";
        };
      };
    }
  )
  {
    name = "cluster: another cluster on another host";
    got =
      lib.filter (a: !a.assertion)
        (tools.config "ha-1" {
          hosts.ha-2 = other {
            name = "other";
            members = {
              ha-2.address = "10.2.0.1";
              b.address = "10.2.0.2";
              c.address = "10.2.0.3";
            };
          };
        }).assertions;
    want = [ ];
  }
  (says "cluster: a stack without a password"
    [ "outside the Nix store" ]
    [
      (tools.member "ha-1" { })
      { services.slipway.stacks.shop.database.enable = true; }
    ]
  )
  (says "cluster: another version of Postgres for one stack" [ "services.slipway.database.package" ] (
    modules "ha-1" { } ++ [ { services.slipway.stacks.shop.database.package = pkgs.hello; } ]
  ))
  (says "cluster: a program at the port that leads to the leader"
    [
      "services.slipway.stacks.shop.services.web.listen.port"
      "services.slipway.cluster.ports.leader (15432)"
    ]
    (
      modules "ha-1" { }
      ++ [
        {
          services.slipway.stacks.shop.services.web = {
            package = standIn "web";
            listen.port = 15432;
          };
        }
      ]
    )
  )
  (says "cluster: a server of its own" [ "services.postgresql.enable is set" "run by Patroni" ] (
    modules "ha-1" { } ++ [ { services.postgresql.enable = lib.mkForce true; } ]
  ))
  (says "cluster: a stack of a cluster that is not there"
    [ "database.cluster is set" ''role = "client"'' ]
    [
      {
        services.slipway.stacks.shop.database = {
          cluster = true;
          host = "db.example.com";
          port = 5432;
          caFile = ./cluster.nix;
          passwordFile = "/run/secrets/password";
        };
      }
    ]
  )
]
