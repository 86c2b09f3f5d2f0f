# What is open, and how one logs in.
{
  host,
  refused,
  saysAmong,
  stack,
  lib,
  ...
}:
let
  served = stack { proxy.domain = "shop.example.com"; };
  acme.security.acme = {
    acceptTerms = true;
    defaults.email = "ops@example.com";
  };
  config = host [
    served
    acme
  ];
  inherit (config.networking) firewall;
  private.services.slipway.network = {
    privateInterface = "ens10";
    privatePorts = [ 5432 ];
  };
  says =
    name: words: modules:
    saysAmong name words (
      [
        served
        acme
      ]
      ++ modules
    );
in
[
  {
    name = "SSH, HTTP and HTTPS, nothing else";
    got = {
      tcp = lib.sort lib.lessThan firewall.allowedTCPPorts;
      udp = firewall.allowedUDPPorts;
      inherit (firewall) enable interfaces;
      nftables = config.networking.nftables.enable;
    };
    want = {
      tcp = [
        22
        80
        443
      ];
      udp = [ ];
      enable = true;
      interfaces = { };
      nftables = true;
    };
  }
  {
    name = "only SSH where nothing is served";
    got = (host [ (stack { }) ]).networking.firewall.allowedTCPPorts;
    want = [ 22 ];
  }
  {
    name = "a proxy on a private address opens its port there only";
    got =
      let
        inherit
          (host [
            (stack {
              proxy = {
                domain = "shop.example.com";
                listenAddresses = [ "10.1.0.11" ];
              };
            })
            acme
            private
          ])
          networking
          ;
      in
      [
        networking.firewall.allowedTCPPorts
        networking.firewall.interfaces.ens10.allowedTCPPorts
      ];
    want = [
      [ 22 ]
      [
        443
        5432
      ]
    ];
  }
  {
    name = "keys only";
    got = {
      inherit (config.services.openssh.settings)
        PasswordAuthentication
        KbdInteractiveAuthentication
        PermitRootLogin
        X11Forwarding
        ;
    };
    want = {
      PasswordAuthentication = false;
      KbdInteractiveAuthentication = false;
      PermitRootLogin = "prohibit-password";
      X11Forwarding = false;
    };
  }
  (says "Postgres for the world"
    [ "networking.firewall.allowedTCPPorts" "5432 of Postgres" "privateInterface" ]
    [
      { networking.firewall.allowedTCPPorts = [ 5432 ]; }
    ]
  )
  (says "metrics for the world"
    [ "networking.firewall.allowedTCPPorts" "9200 of the metrics of shop-api-1" ]
    [
      { networking.firewall.allowedTCPPorts = [ 9200 ]; }
    ]
  )
  (says "the backend in a range"
    [ "port 6379 of Redis" ]
    [
      {
        networking.firewall.allowedTCPPortRanges = [
          {
            from = 6000;
            to = 7000;
          }
        ];
      }
    ]
  )
  (says "nearly everything"
    [ "allowedTCPPortRanges" "1024 to 65535" ]
    [
      {
        networking.firewall.allowedTCPPortRanges = [
          {
            from = 1024;
            to = 65535;
          }
        ];
      }
    ]
  )
  (says "Postgres on another interface"
    [ "networking.firewall.interfaces.ens3.allowedTCPPorts" ]
    [
      { networking.firewall.interfaces.ens3.allowedTCPPorts = [ 5432 ]; }
    ]
  )
  {
    name = "ports that nothing of the backend has may be opened, single and in ranges";
    got = refused [
      served
      acme
      {
        networking.firewall = {
          allowedTCPPorts = [ 8000 ];
          allowedTCPPortRanges = [
            {
              from = 49152;
              to = 65535;
            }
          ];
        };
      }
    ];
    want = [ ];
  }
  (says "metrics in a range"
    [ "networking.firewall.allowedTCPPortRanges" "9000 to 9300" "9200 of the metrics of shop-api-1" ]
    [
      {
        networking.firewall.allowedTCPPortRanges = [
          {
            from = 9000;
            to = 9300;
          }
        ];
      }
    ]
  )
  {
    name = "a second private network may have the backend's ports too";
    got = refused [
      served
      acme
      private
      {
        services.slipway.network.otherPrivateInterfaces = [ "wg0" ];
        networking.firewall.interfaces.wg0.allowedTCPPorts = [ 5432 ];
      }
    ];
    want = [ ];
  }
  (says "a private network that is named twice"
    [ "services.slipway.network.otherPrivateInterfaces" "twice" ]
    [
      private
      { services.slipway.network.otherPrivateInterfaces = [ "ens10" ]; }
    ]
  )
  {
    name = "a host with Docker has iptables, which Docker needs, and any host may choose";
    got =
      map
        (
          more:
          (host [
            served
            acme
            more
          ]).networking.nftables.enable
        )
        [
          { }
          { virtualisation.docker.enable = true; }
          { networking.nftables.enable = false; }
        ];
    want = [
      true
      false
      false
    ];
  }
  {
    name = "who could not log in is warned";
    got =
      map
        (
          more:
          lib.any (lib.hasInfix "users.users.root.openssh.authorizedKeys.keys")
            (host [
              served
              acme
              more
            ]).warnings
        )
        [
          { }
          { users.users.root.openssh.authorizedKeys.keys = [ ]; }
          { users.users.root.openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA" ]; }
          { users.users.root.openssh.authorizedKeys.keyFiles = [ ./network.nix ]; }
          {
            users.users.ops = {
              isNormalUser = true;
              openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA" ];
            };
          }
          { services.slipway.network.ssh.enable = false; }
        ];
    want = [
      true
      true
      false
      false
      false
      false
    ];
  }
  (says "rules that nothing would load"
    [ "networking.nftables.enable" "virtualisation.docker.enable" ]
    [
      {
        virtualisation.docker.enable = true;
        networking.nftables.tables.crew = {
          family = "inet";
          content = "chain input { type filter hook input priority 10; }";
        };
      }
    ]
  )
  (says "no firewall"
    [ "networking.firewall.enable" "services.slipway.network.enable" ]
    [
      { networking.firewall.enable = false; }
    ]
  )
  (says "private ports without an interface"
    [ "services.slipway.network.privateInterface" ]
    [
      { services.slipway.network.privatePorts = [ 5432 ]; }
    ]
  )
  (says "no way in"
    [ "services.slipway.network.ssh.everywhere" ]
    [
      { services.slipway.network.ssh.everywhere = false; }
    ]
  )
  (says "a private network where everything is open"
    [ "trustedInterfaces" "ens10" ]
    [
      private
      { networking.firewall.trustedInterfaces = [ "ens10" ]; }
    ]
  )
]
