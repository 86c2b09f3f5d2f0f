# The agent's unit, and the checks of the closure.
{
  host,
  refused,
  stack,
  standIn,
  lib,
  ...
}:
let
  agent = options: {
    services.slipway.agent = lib.mkMerge [
      {
        enable = true;
        apiUrl = lib.mkDefault "https://deploy.example.com";
        tokenFile = "/run/secrets/agent-token";
      }
      options
    ];
  };
  config = host [
    (stack { })
    (agent { })
  ];
  unit = config.systemd.services.slipway-agent;
  checks = (builtins.fromJSON config.environment.etc."slipway/checks.json".text).checks;
  hooked = host [
    (stack { })
    (agent {
      hooks = {
        a-lead = {
          name = "lead away";
          when = "before_activate";
          command = [
            "/nix/store/x/bin/lead-away"
            "--wait"
          ];
          timeoutSeconds = 180;
        };
        b-warn = {
          when = "before_activate";
          command = [ "/nix/store/x/bin/warn" ];
          onFailure = "continue";
        };
        take-back = {
          when = "after_commit";
          command = [ "/nix/store/x/bin/take-back" ];
        };
      };
    })
  ];
  withHook =
    options:
    host [
      (stack { })
      (agent {
        hooks.a = {
          when = "before_activate";
          command = [ "/x" ];
        }
        // options;
      })
    ];
  sshKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJrWcXpwxT2D2ao9QyBPZHxXj3+xxlg/9ZuRcBq+lDN9 ci";
  minisignKey = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
  signed = host [
    (stack { })
    (agent {
      releaseKeys = [
        sshKey
        minisignKey
      ];
      releaseEnvironment = "prod";
    })
  ];
  booted =
    loader:
    let
      environment =
        (host [
          (stack { })
          (agent { })
          { boot.loader = loader; }
        ]).systemd.services.slipway-agent.environment;
    in
    lib.filterAttrs (name: _: lib.hasPrefix "AGENT_BOOT" name || name == "AGENT_ESP_DIR") environment;
  says = name: word: modules: {
    inherit name;
    got =
      let
        messages = refused modules;
      in
      if lib.length messages == 1 && lib.hasInfix word (lib.head messages) then "refused" else messages;
    want = "refused";
  };
in
[
  {
    name = "the agent knows what boots its host";
    got = {
      systemdBoot = booted {
        systemd-boot = {
          enable = true;
          xbootldrMountPoint = "/boot";
        };
        efi.efiSysMountPoint = "/efi";
        grub.enable = lib.mkForce false;
      };
      grub = booted {
        grub = {
          enable = lib.mkForce true;
          device = lib.mkForce "/dev/vda";
        };
      };
      twoDisks = booted {
        grub = {
          enable = lib.mkForce true;
          device = lib.mkForce "";
          mirroredBoots = [
            {
              devices = [ "/dev/vda" ];
              path = "/boot";
            }
            {
              devices = [ "/dev/vdb" ];
              path = "/boot2";
            }
          ];
        };
      };
    };
    want = {
      systemdBoot = {
        AGENT_BOOT_LOADER = "systemd-boot";
        AGENT_BOOT_DIR = "/boot";
        AGENT_ESP_DIR = "/efi";
      };
      grub = {
        AGENT_BOOT_LOADER = "grub";
        AGENT_BOOT_DIR = "/boot";
      };
      twoDisks = { };
    };
  }
  {
    name = "release keys are in the closure, and the agent reads them from the store with its environment";
    got = {
      inherit (signed.environment.etc."slipway/release-keys") text;
      environment = signed.systemd.services.slipway-agent.environment.AGENT_ENVIRONMENT;
      inStore = lib.hasPrefix builtins.storeDir signed.systemd.services.slipway-agent.environment.AGENT_RELEASE_KEYS_FILE;
    };
    want = {
      text = "${sshKey}\n${minisignKey}\n";
      environment = "prod";
      inStore = true;
    };
  }
  {
    name = "a host without release keys has no file of them, and its agent no setting";
    got = {
      file = config.environment.etc ? "slipway/release-keys";
      setting = unit.environment ? AGENT_RELEASE_KEYS_FILE;
    };
    want = {
      file = false;
      setting = false;
    };
  }
  {
    name = "the agent is told where certificates and backups are, and where kernels go";
    got =
      let
        of =
          more:
          builtins.fromJSON
            (host [
              (stack { })
              (agent { })
              more
            ]).environment.etc."slipway/facts.json".text;
      in
      {
        usual = { inherit (of { }) backups clusters; };
        efi =
          (of {
            boot.loader.systemd-boot.enable = true;
            boot.loader.efi.efiSysMountPoint = "/efi";
          }).boot or null;
        own = (of { services.slipway.agent.facts.certificates = [ "/etc/own.pem" ]; }).certificates;
        minimum = unit.environment.AGENT_MIN_SWITCH_SECONDS;
        reboots = unit.environment.AGENT_MAX_REBOOTS_PER_DAY;
      };
    want = {
      usual = {
        backups = "http://127.0.0.1:9103/status";
        clusters = [ ];
      };
      efi = "/efi";
      own = [ "/etc/own.pem" ];
      minimum = "60";
      reboots = "10";
    };
  }
  (says "release keys need the host's environment" "releaseEnvironment is not" [
    (stack { })
    (agent { releaseKeys = [ sshKey ]; })
  ])
  (says "what is no public key is refused" "is no public key" [
    (stack { })
    (agent {
      releaseKeys = [ "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7" ];
      releaseEnvironment = "prod";
    })
  ])
  (says "a key whose comment goes on with another key is refused" "is no public key" [
    (stack { })
    (agent {
      releaseKeys = [ "${sshKey} ci\n${minisignKey}" ];
      releaseEnvironment = "prod";
    })
  ])
  {
    name = "each replica of a program of another shape is asked where it answers";
    got =
      let
        shaped = host [
          (stack {
            services = {
              web = {
                package = standIn "web";
                replicas = 2;
                listen.port = 3000;
                health.ready.http = "/healthz";
                health.timeoutSeconds = 3;
              };
              own = {
                package = standIn "own";
                listen.type = "unix";
                health.ready.command = [ "check" ];
                health.live.tcp = true;
              };
              said = {
                package = standIn "said";
                health.live.command = [ "/bin/check" ];
              };
            };
          })
          (agent { })
        ];
        inherit (shaped.services.slipway.agent) checks;
        words = check: lib.tail check.command;
      in
      lib.mapAttrs (_: check: [ check.timeoutSeconds ] ++ words check) (
        lib.filterAttrs (name: _: lib.hasSuffix " answers" name) checks
      );
    want = {
      "shop-own-1 answers" = [
        11
        "once"
        "10"
        "tcp"
        "unix:/run/slipway-sockets/shop/own-1/socket"
      ];
      "shop-web-1 answers" = [
        4
        "once"
        "3"
        "http"
        "127.0.0.1:3000"
        "/healthz"
      ];
      "shop-web-2 answers" = [
        4
        "once"
        "3"
        "http"
        "127.0.0.1:3001"
        "/healthz"
      ];
    };
  }
  {
    name = "a stack brings its units as checks";
    got = map (check: [
      check.name
      check.type
      check.unit
    ]) (lib.filter (check: check.name == "shop-worker-2.service") checks);
    want = [
      [
        "shop-worker-2.service"
        "systemd"
        "shop-worker-2.service"
      ]
    ];
  }
  {
    name = "a check says nothing that its type does not have";
    got = lib.attrNames (lib.head checks);
    want = [
      "name"
      "type"
      "unit"
    ];
  }
  {
    name = "the host's name, the token as a credential, and no address of the store";
    got = {
      inherit (unit.environment) AGENT_HOST AGENT_API_URL AGENT_RUNNER;
      inherit (unit.serviceConfig) LoadCredential Restart;
      inherit (unit) stopIfChanged restartIfChanged;
    };
    want = {
      AGENT_HOST = "host-1";
      AGENT_API_URL = "https://deploy.example.com";
      AGENT_RUNNER = "systemd";
      LoadCredential = [ "AGENT_TOKEN:/run/secrets/agent-token" ];
      Restart = "always";
      stopIfChanged = false;
      restartIfChanged = true;
    };
  }
  {
    name = "an authority's file is part of the closure, and a path of the host stays one";
    got =
      map
        (
          caFile:
          lib.hasPrefix builtins.storeDir
            (host [
              (stack { })
              (agent { inherit caFile; })
            ]).systemd.services.slipway-agent.environment.AGENT_CA_FILE
        )
        [
          ./snapshots/redis.conf
          "/etc/ssl/own-ca.pem"
        ];
    want = [
      true
      false
    ];
  }
  {
    name = "the agent is where a dead-man looks for it";
    got = lib.elem config.services.slipway.agent.package config.environment.systemPackages;
    want = true;
  }
  (says "a closure without checks" "services.slipway.agent.checks is empty" [ (agent { }) ])
  (says "a token in the clear" "services.slipway.agent.apiUrl" [
    (stack { })
    (agent { apiUrl = "http://deploy.example.com"; })
  ])
  {
    name = "plain http to this machine";
    got =
      map
        (
          apiUrl:
          refused [
            (stack { })
            (agent { inherit apiUrl; })
          ]
        )
        [
          "http://127.0.0.1:8000"
          "http://localhost"
          "http://[::1]:8000/"
        ];
    want = [
      [ ]
      [ ]
      [ ]
    ];
  }
  (says "a check without what its type needs" ".checks.\"web\".url is not set" [
    (agent { checks.web.type = "http"; })
  ])
  (says "a check with what its type does not have" ".checks.\"web\" sets unit" [
    (agent {
      checks.web = {
        type = "tcp";
        address = "127.0.0.1:80";
        unit = "nginx.service";
      };
    })
  ])
  {
    name = "hooks are written in two lists, each by name";
    got = builtins.fromJSON hooked.environment.etc."slipway/hooks.json".text;
    want = {
      before_activate = [
        {
          name = "lead away";
          command = [
            "/nix/store/x/bin/lead-away"
            "--wait"
          ];
          timeout_seconds = 180;
          on_failure = "fail";
        }
        {
          name = "b-warn";
          command = [ "/nix/store/x/bin/warn" ];
          timeout_seconds = 120;
          on_failure = "continue";
        }
      ];
      after_commit = [
        {
          name = "take-back";
          command = [ "/nix/store/x/bin/take-back" ];
          timeout_seconds = 120;
          on_failure = "fail";
        }
      ];
    };
  }
  {
    name = "a system without hooks has no such file, and no warning";
    got = [
      (config.environment.etc ? "slipway/hooks.json")
      (lib.filter (lib.hasInfix "agent.hooks") (config.warnings ++ hooked.warnings))
    ];
    want = [
      false
      [ ]
    ];
  }
  {
    name = "hooks that do not fit before the default dead-man are warned of, with the switch of the stacks counted";
    got = map (lib.hasInfix "limits.deadman_seconds of more than 1980") (
      lib.filter (lib.hasInfix "agent.hooks") (withHook { timeoutSeconds = 600; }).warnings
    );
    want = [ true ];
  }
  (says "a hook by a name that the agent would have to look for"
    ".hooks.\"a\".command begins with patronictl"
    [
      (stack { })
      (agent {
        hooks.a = {
          when = "after_commit";
          command = [ "patronictl" ];
        };
      })
    ]
  )
  (says "a hook of the prior's system" "still the prior's when it runs" [
    (stack { })
    (agent {
      hooks.a = {
        when = "before_activate";
        command = [ "/run/current-system/sw/bin/x" ];
      };
    })
  ])
  (says "two hooks of one name" "two hooks have the name a" [
    (stack { })
    (agent {
      hooks = lib.genAttrs [ "a" "b" ] (_: {
        name = "a";
        when = "after_commit";
        command = [ "/x" ];
      });
    })
  ])
  (says "hooks that take more than an hour" "those of after_commit may take 4020 s together" [
    (stack { })
    (agent {
      hooks = lib.genAttrs [ "a" "b" ] (_: {
        when = "after_commit";
        command = [ "/x" ];
        timeoutSeconds = 2000;
      });
    })
  ])
  (says "more hooks than anybody can follow" "after_commit has 21 hooks" [
    (stack { })
    (agent {
      hooks = lib.genAttrs (map toString (lib.range 1 21)) (_: {
        when = "after_commit";
        command = [ "/x" ];
        timeoutSeconds = 1;
      });
    })
  ])
  (says "a system that cannot be switched" "system.switch.enable" [
    (stack { })
    (agent { })
    { system.switch.enable = false; }
  ])
]
