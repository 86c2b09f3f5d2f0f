# What a host tells of itself, to whom, and what nobody can mean.
{
  host,
  lib,
  plain,
  refused,
  saysAmong,
  stack,
  standIn,
  nixosModules,
  ...
}:
let
  acme.security.acme = {
    acceptTerms = true;
    defaults.email = "ops@example.com";
  };
  on.services.slipway.telemetry.enable = true;
  served = stack { proxy.domain = "shop.example.com"; };
  agent.services.slipway.agent = {
    enable = true;
    apiUrl = "https://deploy.example.com";
    tokenFile = "/run/secrets/agent-token";
  };
  door.services.slipway.telemetry.door = {
    address = "10.1.0.11";
    clients = [ "10.1.0.30" ];
    certificate = "/etc/fleet/app-1.pem";
    key = "/run/secrets/app-1-key";
    authority = "/etc/fleet/authority.pem";
  };
  whole = [
    served
    acme
    agent
    door
  ];
  config = host whole;
  inherit (config.services.slipway) telemetry;
  shown =
    target:
    target.job + lib.optionalString (target.unit != null) "/${target.unit}" + " ${target.address}";
  says =
    name: words: more:
    saysAmong name words (whole ++ [ more ]);

  # The probes of one domain, by what they ask.
  probed =
    domain:
    let
      inherit
        (host [
          on
          acme
          {
            services.slipway.stacks.shop = {
              services = {
                web = {
                  package = standIn "shop";
                  listen.port = 3000;
                  health.ready.http = "/healthz";
                };
                api = {
                  preset = "api";
                  package = standIn "shop";
                };
              };
              domains."shop.example.com" = domain;
            };
          }
        ])
        services
        ;
    in
    map (probe: "${probe.kind} ${lib.removePrefix "https://shop.example.com" probe.url}") (
      services.slipway.telemetry.probes
    );
in
[
  {
    name = "only workers of the control plane are believed what they say of other hosts";
    got = map (target: target.unit) (lib.filter (target: target.fleet) telemetry.targets);
    want = [
      "shop-worker-1"
      "shop-worker-2"
    ];
  }
  {
    name = "nothing is measured where nobody asks";
    got =
      let
        quiet = host [
          served
          acme
          agent
        ];
      in
      [
        quiet.services.slipway.telemetry.enable
        quiet.services.slipway.telemetry.targets
        quiet.services.prometheus.exporters.node.enable
      ];
    want = [
      false
      [ ]
      false
    ];
  }
  {
    name = "a door switches it on, and everything that the host has is a target";
    got = lib.sort lib.lessThan (map shown telemetry.targets);
    want = [
      "agent 127.0.0.1:9102"
      "backup 127.0.0.1:9103"
      "nginx 127.0.0.1:9113"
      "node 127.0.0.1:9100"
      "postgres 127.0.0.1:9187"
      "redis/redis-shop 127.0.0.1:9121"
      "stack/shop-api-1 127.0.0.1:9200"
      "stack/shop-api-2 127.0.0.1:9201"
      "stack/shop-api-3 127.0.0.1:9202"
      "stack/shop-worker-1 127.0.0.1:9264"
      "stack/shop-worker-2 127.0.0.1:9265"
    ];
  }
  {
    name = "processes say whose they are, and each cache is asked by its own socket";
    got =
      let
        of = job: lib.findFirst (target: target.job == job) null telemetry.targets;
      in
      [
        (of "stack").labels
        (of "redis").params
        (of "redis").doorPath
      ];
    want = [
      {
        stack = "shop";
        service = "api";
      }
      { target = "unix:///run/redis-shop/redis.sock"; }
      "/redis/redis-shop"
    ];
  }
  {
    name = "every exporter listens on 127.0.0.1 only";
    got = map (name: config.services.prometheus.exporters.${name}.listenAddress) [
      "nginx"
      "node"
      "postgres"
      "redis"
    ];
    want = lib.genList (_: "127.0.0.1") 4;
  }
  {
    name = "an exporter is asked where it listens";
    got =
      lib.concatMap (target: lib.optional (target.job == "node" || target.job == "redis") (shown target))
        (host (
          whole
          ++ [
            {
              services.prometheus.exporters = {
                node.listenAddress = "127.0.0.2";
                redis.listenAddress = "::1";
              };
            }
          ]
        )).services.slipway.telemetry.targets;
    want = [
      "redis/redis-shop [::1]:9121"
      "node 127.0.0.2:9100"
    ];
  }
  {
    name = "a host without stacks measures itself, and its own exporters can join";
    got =
      map shown
        (plain [
          nixosModules.telemetry
          on
          {
            services.slipway.telemetry.targets = [
              {
                job = "smartctl";
                address = "127.0.0.1:9633";
              }
            ];
          }
        ]).services.slipway.telemetry.targets;
    want = [
      "node 127.0.0.1:9100"
      "smartctl 127.0.0.1:9633"
    ];
  }
  {
    name = "the firewall lets the monitoring host in, by its address and on the private interface";
    got =
      map
        (
          more:
          let
            inherit ((host (whole ++ [ more ])).networking) firewall;
          in
          lib.filter (lib.hasInfix "9443") (
            lib.splitString "\n" (firewall.extraInputRules + firewall.extraCommands)
          )
        )
        [
          { }
          { services.slipway.network.privateInterface = "ens10"; }
          { services.slipway.telemetry.door.clients = [ "fd00::30" ]; }
          { networking.nftables.enable = false; }
        ];
    want = [
      [ "ip saddr 10.1.0.30 tcp dport 9443 accept" ]
      [ "iifname \"ens10\" ip saddr 10.1.0.30 tcp dport 9443 accept" ]
      [
        "ip6 saddr fd00::30 tcp dport 9443 accept"
        "ip saddr 10.1.0.30 tcp dport 9443 accept"
      ]
      [ "iptables -A nixos-fw -p tcp -s 10.1.0.30 --dport 9443 -j nixos-fw-accept" ]
    ];
  }
  {
    name = "the door's unit talks to this host and to the monitoring host";
    got = config.systemd.services.slipway-telemetry-door.serviceConfig.IPAddressAllow;
    want = [
      "localhost"
      "10.1.0.30"
    ];
  }
  {
    name = "each route is asked from outside, at its health where the world reaches that";
    got = probed {
      routes = {
        "/".service = "web";
        "/api".service = "api";
        "/shop" = {
          service = "web";
          stripPrefix = true;
        };
        "/only" = {
          service = "web";
          exact = true;
        };
        "/docs".static = ./site;
        "/app" = {
          static = ./site;
          fallback = "/index.html";
        };
        "/old".redirect = "https://example.com/";
        "/closed".closed = true;
      };
    };
    want = [
      "ok /healthz"
      "ok /api/v1/monitoring/ready"
      "ok /app"
      "answer /docs"
      "redirect /old"
      "answer /only"
      "ok /shop/healthz"
    ];
  }
  {
    name = "a health path that is closed or another route's is not asked";
    got = [
      (probed {
        closedPaths = [ "/healthz" ];
        routes."/".service = "web";
      })
      (probed {
        routes = {
          "/".service = "web";
          "/healthz".redirect = "https://example.com/";
        };
      })
      (probed { routes."/".service = "api"; })
    ];
    want = [
      [ "answer /" ]
      [
        "answer /"
        "redirect /healthz"
      ]
      [ "ok /api/v1/monitoring/ready" ]
    ];
  }
  {
    name = "what only another proxy reaches is not asked";
    got =
      map
        (
          proxy:
          (host [
            on
            acme
            (stack {
              proxy = {
                domain = "shop.example.com";
              }
              // proxy;
            })
          ]).services.slipway.telemetry.probes
        )
        [
          { listenAddresses = [ "10.1.0.11" ]; }
          { tls.clientAuthority = "/etc/fleet/authority.pem"; }
        ];
    want = [
      [ ]
      [ ]
    ];
  }
  {
    name = "a door without TLS needs no certificate";
    got = refused [
      served
      acme
      {
        services.slipway.telemetry.door = {
          address = "10.9.0.11";
          clients = [ "10.9.0.30" ];
          tls = false;
        };
      }
    ];
    want = [ ];
  }
  (says "a door without certificates"
    [
      "services.slipway.telemetry.door"
      "services.slipway.telemetry.door.key, services.slipway.telemetry.door.authority"
      "tls = false"
    ]
    {
      services.slipway.telemetry.door = {
        key = lib.mkForce null;
        authority = lib.mkForce null;
      };
    }
  )
  (says "a door for nobody" [ "services.slipway.telemetry.door.clients" "monitoring hosts" ] {
    services.slipway.telemetry.door.clients = lib.mkForce [ ];
  })
  (says "a door on every address" [ "door.address" "private network" ] {
    services.slipway.telemetry.door.address = lib.mkForce "0.0.0.0";
  })
  (says "a door on a name" [ "door.address is app-1.internal" "IP address" ] {
    services.slipway.telemetry.door.address = lib.mkForce "app-1.internal";
  })
  (says "a door on half an address" [ "door.address is 10.1" "IP address" ] {
    services.slipway.telemetry.door.address = lib.mkForce "10.1";
  })
  (says "a client at no address" [ "door.clients has 10.1.0.999" "IP addresses" ] {
    services.slipway.telemetry.door.clients = [ "10.1.0.999" ];
  })
  (says "a client by its name" [ "door.clients has monitor.internal" "IP addresses" ] {
    services.slipway.telemetry.door.clients = [ "monitor.internal" ];
  })
  (says "names of certificates without TLS" [ "door.clientNames" "door.tls" ] {
    services.slipway.telemetry.door = {
      tls = false;
      clientNames = [ "monitor.internal" ];
    };
  })
  (says "the door open to the world" [ "allowedTCPPorts" "9443 of the door of the telemetry" ] {
    networking.firewall.allowedTCPPorts = [ 9443 ];
  })
  (says "an exporter open to the world" [ "allowedTCPPorts" "9187 of the metrics of postgres" ] {
    networking.firewall.allowedTCPPorts = [ 9187 ];
  })
  (says "digits and dots that are no address" [ "smartctl at 127.999.1.1:9633" ] {
    services.slipway.telemetry.targets = [
      {
        job = "smartctl";
        address = "127.999.1.1:9633";
      }
    ];
  })
  (says "a port that there is not" [ "smartctl at 127.0.0.1:96330" ] {
    services.slipway.telemetry.targets = [
      {
        job = "smartctl";
        address = "127.0.0.1:96330";
      }
    ];
  })
  (says "two targets of one name" [ "2 times redis of redis-shop" "127.0.0.1:9122" ] {
    services.slipway.telemetry.targets = [
      {
        job = "redis";
        unit = "redis-shop";
        address = "127.0.0.1:9122";
      }
    ];
  })
  (says "a target on another host" [ "smartctl at 10.1.0.12:9633" "127.0.0.1" ] {
    services.slipway.telemetry.targets = [
      {
        job = "smartctl";
        address = "10.1.0.12:9633";
      }
    ];
  })
  (says "an exporter that other hosts reach" [ "node at 0.0.0.0:9100" "let it listen on 127.0.0.1" ] {
    services.prometheus.exporters.node.listenAddress = "0.0.0.0";
  })
  (says "a target whose name is no word" [ "job and unit" ] {
    services.slipway.telemetry.targets = [
      {
        job = "a b; return 200";
        address = "127.0.0.1:9633";
      }
    ];
  })
  (says "a target with a query in its path" [ "/probe?target=x" "params" ] {
    services.slipway.telemetry.targets = [
      {
        job = "smartctl";
        address = "127.0.0.1:9633";
        path = "/probe?target=x";
      }
    ];
  })
  (says "a stack at an exporter's port"
    [
      "services.slipway.stacks.shop.services.web.listen.port"
      "services.prometheus.exporters.node.port (9100)"
    ]
    {
      services.slipway.stacks.shop.services.web = {
        package = standIn "shop";
        listen.port = 9100;
      };
    }
  )
  (says "a stack at nginx' counters"
    [
      "services.slipway.stacks.shop.services.web.listen.port"
      "services.slipway.telemetry.nginxStatusPort (8084)"
    ]
    {
      services.slipway.stacks.shop.services.web = {
        package = standIn "shop";
        listen.port = 8084;
      };
    }
  )
]
