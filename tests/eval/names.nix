# Accounts, units and folders of stacks: none belongs to two, and none to somebody else.
{
  host,
  refused,
  says,
  stack,
  standIn,
  lib,
  ...
}:
let
  at = "services.slipway.stacks";
  # A stack without any other needs, and one program.
  small =
    options:
    lib.mkMerge [
      {
        database.enable = false;
        cache.enable = false;
        backup.enable = false;
      }
      options
    ];
  program.package = standIn "thing";
  tcp = port: program // { listen.port = port; };
  before = program // {
    before = "start";
  };
  stacks = all: { services.slipway.stacks = lib.mapAttrs (_: small) all; };
  job = name: stacks { shop.jobs.${name} = before; };

  account =
    option: name:
    says "${option} = ${name}"
      [
        "${at}.shop.${option} is ${name}"
        "take a"
        "shop-app"
      ]
      [
        (stacks {
          shop = lib.recursiveUpdate { services.web = tcp 3000; } (
            lib.setAttrByPath (lib.splitString "." option) name
          );
        })
      ];
  unit =
    name: one: other: unit: module:
    says name [ one other unit "rename one" ] [ module ];
in
map (account "user") [
  "root"
  "nobody"
  "postgres"
  "redis"
  "nginx"
  "slipway-backup"
]
++ map (account "group") [
  "wheel"
  "docker"
  "disk"
  "systemd-journal"
  "postgres"
  "users"
]
++ map (account "services.web.user") [
  "root"
  "postgres"
]
++ [
  (says "the account of a service that the host has"
    [
      "${at}.grafana.user is grafana"
      "grafana-app"
    ]
    [
      (stacks {
        grafana = {
          group = "dashboards";
          services.web = tcp 3101;
        };
      })
      { services.grafana.enable = true; }
    ]
  )
  (says "migrations as root"
    [ "${at}.shop.jobs.migrate.user is root" ]
    [
      (stack { jobs.migrate.user = "root"; })
    ]
  )
  {
    name = "a host may add to a stack's account";
    got =
      let
        modules = [
          (stacks { shop.services.web = tcp 3000; })
          {
            users.users.shop = {
              uid = 990;
              extraGroups = [ "media" ];
            };
          }
        ];
      in
      {
        refused = refused modules;
        inherit ((host modules).users.users.shop) uid isSystemUser group;
      };
    want = {
      refused = [ ];
      uid = 990;
      isSystemUser = true;
      group = "shop";
    };
  }
  (says "two stacks with one user"
    [
      "${at}.post.services.web.user and ${at}.shop.user are both shop"
      "a user of its own"
    ]
    [
      (stacks {
        shop.services.web = tcp 3000;
        post.services.web = tcp 3010 // {
          user = "shop";
        };
      })
    ]
  )
  (says "two stacks with one group"
    [
      "${at}.post.group and ${at}.shop.group are both shop"
      "a group of its own"
    ]
    [
      (stacks {
        shop.services.web = tcp 3000;
        post = {
          group = "shop";
          services.web = tcp 3010;
        };
      })
    ]
  )
  (says "a stack with the name of a target"
    [
      "${at}.network: network.target"
      "rename the stack"
    ]
    [ (stacks { network.services.web = tcp 3000; }) ]
  )
  (says "names that join to the same"
    [
      "${at}.shop.services.x-y and ${at}.shop-x.services.y"
      "the unit shop-x-y-1-live.service, shop-x-y-1.service, shop-x-y-trial.service"
    ]
    [
      (stacks {
        shop.services.x-y = tcp 3000;
        shop-x.services.y = tcp 3010;
      })
    ]
  )
  (unit "a job with the name of a replica" "${at}.shop.jobs.x-1" "${at}.shop.services.x"
    "shop-x-1.service"
    (stacks {
      shop.services.x = tcp 3000;
      shop.jobs.x-1 = before;
    })
  )
  (unit "a job with the name of a stand-in" "${at}.shop.jobs.x-trial" "${at}.shop.services.x"
    "shop-x-trial.service"
    (stacks {
      shop.services.x = tcp 3000;
      shop.jobs.x-trial = before;
    })
  )
  (unit "a job with the name of a Redis" "${at}.redis.jobs.shop" "${at}.shop" "redis-shop.service"
    (stacks {
      redis = {
        user = "other";
        group = "other";
        jobs.shop = before;
      };
      shop.services.x = tcp 3000;
    })
  )
  (unit "a job with the name of a unit of the host" "${at}.slipway.jobs.agent" "Slipway itself"
    "slipway-agent.service"
    (stacks {
      slipway.jobs.agent = before;
    })
  )
  (unit "a job with the name of a unit of NixOS" "${at}.nix.jobs.gc"
    "nixos/modules/services/misc/nix-gc.nix"
    "nix-gc.service"
    (stacks {
      nix.jobs.gc = before;
    })
  )
]
++
  map
    (
      name:
      unit "a job named ${name}" "${at}.shop.jobs.${name}" "${at}.shop" "shop-${name}.service" (job name)
    )
    [
      "roll"
      "secrets"
      "database"
      "backup-dump"
      "cache-tunnel"
    ]
++ [
  (says "two folders that serviceConfig makes one"
    [
      "${at}.shop.services.web and ${at}.shop.services.work would both have the folder /var/lib/files"
      "another in its serviceConfig"
    ]
    [
      (stacks {
        shop.services = {
          web = tcp 3000 // {
            serviceConfig.StateDirectory = "files";
          };
          work = program // {
            serviceConfig.StateDirectory = "cache files";
          };
        };
      })
    ]
  )
  (says "a folder of a Redis"
    [
      "${at}.redis.services.shop and ${at}.shop would both have the folder /var/lib/redis-shop"
    ]
    [
      (stacks {
        redis = {
          user = "other";
          group = "other";
          services.shop = tcp 3010 // {
            stateDirectory = true;
          };
        };
        shop.services.web = tcp 3000;
      })
    ]
  )
  (says "a folder of Slipway itself"
    [ "Slipway itself would both have the folder /run/slipway-roll" ]
    [
      (stacks {
        shop.services.web = tcp 3000 // {
          serviceConfig.RuntimeDirectory = [ "slipway-roll" ];
        };
      })
    ]
  )
  {
    name = "replicas and the stand-in share their files";
    got = refused [
      (stacks {
        shop.services.web = tcp 3000 // {
          replicas = 3;
          stateDirectory = true;
          rolling = "stand-in";
        };
      })
    ];
    want = [ ];
  }
]
