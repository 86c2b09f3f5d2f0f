# Floating addresses: what keepalived, nginx and the firewall are told, and what nobody can mean.
{
  host,
  lib,
  saysAmong,
  refused,
  stack,
  standIn,
  ...
}:
let
  at = "services.slipway.floating.edge";
  scrapes = import ../../nix/monitoring/scrapes.nix;
  acme.security.acme = {
    acceptTerms = true;
    defaults.email = "ops@example.com";
  };
  base = {
    members = {
      edge-1.address = "203.0.113.11";
      edge-2.address = "203.0.113.12";
    };
    addresses = [ "203.0.113.10/24" ];
    interface = "eth0";
    routerId = 51;
  };
  edge = more: [
    acme
    (stack {
      services.api.replicas = 0;
      jobs.migrate.enable = false;
      database.enable = false;
      cache.enable = false;
      proxy = {
        domain = "shop.example.com";
        upstream = {
          servers = [
            "10.1.0.11:443"
            "10.1.0.12:443"
          ];
          tls.authority = "/etc/fleet/authority.pem";
        };
      };
    })
    {
      networking = {
        hostName = "edge-1";
        interfaces.eth0.ipv4.addresses = [
          {
            address = "203.0.113.11";
            prefixLength = 24;
          }
        ];
      };
      services.slipway.floating.edge = base;
    }
    more
  ];
  group = options: edge { services.slipway.floating.edge = options; };
  config = host (edge { });
  inherit (config.services) keepalived nginx;
  says =
    name: words: modules:
    saysAmong name words modules;
  has = text: lib.hasInfix text keepalived.extraConfig;
in
[
  {
    name = "two edges with one address are accepted";
    got = refused (edge { });
    want = [ ];
  }
  {
    name = "every member has the same priority, so an address does not move back by itself";
    got = map has [
      "state BACKUP"
      "priority 200"
      "nopreempt"
      "virtual_router_id 51"
      "unicast_src_ip 203.0.113.11"
      "203.0.113.12 min_ttl 255 max_ttl 255"
      "203.0.113.10/24 dev eth0"
    ];
    want = [
      true
      true
      false
      true
      true
      true
      true
    ];
  }
  {
    name = "only the other members reach VRRP and the port for them";
    got = [
      (lib.hasInfix "ip saddr 203.0.113.12 meta l4proto 112 accept" config.networking.firewall.extraInputRules)
      (lib.hasInfix "ip saddr 203.0.113.12 tcp dport 8085 accept" config.networking.firewall.extraInputRules)
      (lib.hasInfix "203.0.113.11" config.networking.firewall.extraInputRules)
      nginx.virtualHosts.slipway-floating.extraConfig
    ];
    want = [
      true
      true
      false
      "access_log off;\nallow 127.0.0.1;\nallow 203.0.113.12;\ndeny all;\n"
    ];
  }
  {
    name = "a challenge that this member does not know is asked of the others, once";
    got = {
      at = nginx.virtualHosts."shop.example.com".acmeFallbackHost;
      others = lib.attrNames nginx.upstreams.slipway-challenges.servers;
      relays =
        lib.hasInfix "proxy"
          nginx.virtualHosts.slipway-floating.locations."^~ /.well-known/acme-challenge/".extraConfig;
    };
    want = {
      at = "127.0.0.1:8086";
      others = [ "203.0.113.12:8085" ];
      relays = false;
    };
  }
  {
    name = "without challenges over HTTP nobody is asked for any";
    got =
      (host (edge {
        services.slipway.stacks.shop.proxy.tls.dnsProvider = "hetzner";
      })).services.nginx.virtualHosts
        ? slipway-challenges;
    want = false;
  }
  {
    name = "each route is asked at the shared address and at the member's own";
    got =
      let
        watched = host (edge {
          services.slipway.telemetry.enable = true;
        });
        file = watched.systemd.tmpfiles.settings."20-slipway-floating";
      in
      {
        probes = map (probe: {
          inherit (probe) url address;
        }) watched.services.slipway.telemetry.probes;
        scraped = map (probe: { inherit (probe.labels) url __param_target; }) (
          (scrapes.probes (
            scrapes.defaults
            // {
              host = "edge-1";
              exporter = "127.0.0.1:9115";
              inherit (watched.services.slipway.telemetry) probes;
            }
          )).static_configs
        );
        says = lib.attrNames file;
        shows = lib.elem "--collector.netdev.address-info" watched.services.prometheus.exporters.node.extraFlags;
      };
    want =
      let
        url = "https://shop.example.com/api/v1/monitoring/ready";
      in
      {
        probes = [
          {
            inherit url;
            address = null;
          }
          {
            inherit url;
            address = "203.0.113.11";
          }
        ];
        scraped = [
          {
            inherit url;
            __param_target = url;
          }
          {
            url = "${url} at 203.0.113.11";
            __param_target = "https://203.0.113.11/api/v1/monitoring/ready";
          }
        ];
        says = [ "/run/slipway-telemetry/floating.prom" ];
        shows = true;
      };
  }
  {
    name = "a rollout hands the address over first, unless nobody wants that";
    got =
      let
        agent.services.slipway.agent = {
          enable = true;
          apiUrl = "https://deploy.example.com";
          tokenFile = "/run/secrets/agent-token";
        };
        hooksOf = modules: (host modules).services.slipway.agent.hooks;
        ours = (hooksOf (edge agent)).hand-over-edge;
      in
      [
        ours.when
        ours.onFailure
        (lib.length ours.command)
        (
          hooksOf (edge {
            imports = [ agent ];
            services.slipway.floating.edge.handOver.enable = false;
          })
          ? hand-over-edge
        )
      ];
    want = [
      "before_activate"
      "fail"
      2
      false
    ];
  }
  {
    name = "a host without floating addresses has nothing of them";
    got =
      let
        its = host [
          acme
          (stack { proxy.domain = "shop.example.com"; })
        ];
      in
      [
        its.services.keepalived.enable
        (its.services.nginx.virtualHosts ? slipway-floating)
      ];
    want = [
      false
      false
    ];
  }
  (says "a host that is no member" [ "${at}.members" "edge-9" ] (edge {
    networking.hostName = lib.mkForce "edge-9";
  }))
  (says "one member only" [ "${at}.members" "edge-1" "second host" ] (edge {
    services.slipway.floating.edge.members = lib.mkForce { edge-1.address = "203.0.113.11"; };
  }))
  (says "two members with one address" [ "203.0.113.11" "edge-1 and edge-2" ] (group {
    members.edge-2.address = lib.mkForce "203.0.113.11";
  }))
  (says "a floating address that is a member's" [ "${at}.addresses" "203.0.113.12" "edge-2" ] (group {
    addresses = [ "203.0.113.12/24" ];
  }))
  (says "an address in another network" [ "198.51.100.10/24" "edge-1 (203.0.113.11)" "DNS" ] (group {
    addresses = [ "198.51.100.10/24" ];
  }))
  (says "a network that is too small" [ "203.0.113.10/31" "edge-2 (203.0.113.12)" ] (group {
    addresses = lib.mkForce [ "203.0.113.10/31" ];
  }))
  (says "an interface without the member's address" [ "${at}.interface" "ens10" "10.1.0.10" ] (edge {
    services.slipway.floating.edge.interface = lib.mkForce "ens10";
    networking.interfaces.ens10.ipv4.addresses = [
      {
        address = "10.1.0.10";
        prefixLength = 24;
      }
    ];
  }))
  (says "a floating address that this host always has" [ "203.0.113.10" "networking.interfaces" ]
    (edge {
      networking.interfaces.eth0.ipv4.addresses = [
        {
          address = "203.0.113.10";
          prefixLength = 24;
        }
      ];
    })
  )
  (says "two groups with one number"
    [ "floating.edge and services.slipway.floating.other" "routerId 51" ]
    (edge {
      services.slipway.floating.other = base // {
        addresses = [ "203.0.113.20/24" ];
      };
    })
  )
  (says "two groups with one address"
    [ "floating.edge and services.slipway.floating.other" "203.0.113.10" ]
    (edge {
      services.slipway.floating.other = base // {
        routerId = 52;
      };
    })
  )
  (says "a number that keepalived has otherwise" [ "vrrpInstances.other" "51" ] (edge {
    services.keepalived.vrrpInstances.other = {
      interface = "eth0";
      virtualRouterId = 51;
    };
  }))
  (says "a program at a port of floating addresses"
    [
      "services.slipway.stacks.shop.services.other.listen.port"
      "services.slipway.floating"
      "want the same port"
    ]
    (edge {
      services.slipway.stacks.shop.services.other = {
        package = standIn "other";
        listen.port = 8085;
      };
    })
  )
  (says "nothing to serve"
    [ "services.slipway.floating" "serves no stack" ]
    [
      {
        networking.hostName = "edge-1";
        services.slipway.floating.edge = base;
      }
    ]
  )
]
