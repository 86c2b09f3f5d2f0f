# Logs: where lines go, what names them, and what nobody can mean.
{
  host,
  refused,
  saysAmong,
  stack,
  standIn,
  lib,
  ...
}:
let
  inherit (import ./monitoring-tools.nix { inherit host lib standIn; }) client monitoring watched;
  contract = import ../../nix/contract.nix;
  sends = more: {
    services.slipway.telemetry.logs = {
      endpoint = "https://monitor.internal:9444";
      authority = "/etc/fleet/authority.pem";
      certificate = "/etc/fleet/app-1.pem";
      key = "/run/secrets/app-1-key";
    }
    // more;
  };
  sender = more: [
    (stack { proxy.domain = "shop.example.com"; })
    {
      security.acme = {
        acceptTerms = true;
        defaults.email = "ops@example.com";
      };
    }
    (sends more)
  ];
  says =
    name: words: more:
    saysAmong name words (sender more);
  config = host (sender { });
  unit = config.systemd.services.slipway-logs;
  outputs =
    config:
    lib.filter (
      output: output.name == "es"
    ) config.services.slipway.telemetry.logs.settings.pipeline.outputs;
  store = lib.head (outputs config);
  search =
    more:
    lib.last (
      outputs (
        host (sender {
          elasticsearch = {
            endpoint = "https://search.example.com:9200/team";
            user = "slipway";
            passwordFile = "/run/secrets/search-password";
          }
          // more;
        })
      )
    );

  door = {
    address = "10.1.0.30";
    clients = [ "10.1.0.11" ];
    certificate = "/etc/fleet/monitor.pem";
    key = "/run/secrets/monitor-key";
    authority = "/etc/fleet/authority.pem";
  };
  keeper = more: [
    (monitoring client)
    (monitoring {
      hosts.app = watched "app-1" { };
      logs.door = door // more;
    })
  ];
  keeps = host (keeper { });
  text = import ../../modules/monitoring/logs/door-text.nix { inherit lib contract; };
  told =
    more:
    text (
      {
        folder = "/run/door";
        own = "monitor";
        listen = "10.1.0.30:9444";
        clients = [ "10.1.0.11" ];
        certificates = true;
        passwords = false;
        opensearch = null;
        senders = [
          {
            host = "app-1";
            certificate = "app-1.internal";
          }
        ];
      }
      // more
    );
  keeperSays =
    name: words: more:
    saysAmong name words (keeper more);
in
[
  {
    name = "logs are sent where an endpoint is, and nowhere else";
    got = map (modules: (host modules).systemd.services ? slipway-logs) [
      [ (stack { }) ]
      (sender { })
      [
        (stack { })
        { services.slipway.telemetry.logs.elasticsearch.endpoint = "https://search.example.com:9200"; }
      ]
    ];
    want = [
      false
      true
      true
    ];
  }
  {
    name = "hosts that send and keep have no contradictions";
    got = refused (sender { }) ++ refused (keeper { });
    want = [ ];
  }
  {
    name = "a host that keeps logs sends its own to itself, and its shipper reaches nothing else";
    got = [
      keeps.services.slipway.telemetry.logs.endpoint
      keeps.systemd.services.slipway-logs.serviceConfig.IPAddressAllow
    ];
    want = [
      "http://127.0.0.1:9427"
      [ "localhost" ]
    ];
  }
  {
    name = "the destination's name is checked, and what it refuses is kept";
    got = map (setting: store.${setting}) [
      "host"
      "port"
      "tls.verify_hostname"
      "retry_limit"
      "storage.total_limit_size"
      "tls.key_file"
    ];
    want = [
      "monitor.internal"
      9444
      "on"
      "no_limits"
      "512M"
      "/run/credentials/slipway-logs.service/store-key"
    ];
  }
  {
    name = "a line sent again to a daily index replaces itself, and a data stream has its name";
    got =
      map
        (output: [
          (output.logstash_prefix or output.index)
          output.write_operation
          (output.generate_id or "off")
          output.path
          output.http_passwd
        ])
        [
          (search { })
          (search { dateSuffix = null; })
        ];
    want = [
      [
        "slipway-logs"
        "index"
        "on"
        "/team"
        "\${ELASTICSEARCH_PASSWORD}"
      ]
      [
        "slipway-logs"
        "create"
        "off"
        "/team"
        "\${ELASTICSEARCH_PASSWORD}"
      ]
    ];
  }
  {
    name = "the shipper is nobody: it reads the journal and access logs, and no key of a certificate";
    got = [
      unit.serviceConfig.DynamicUser
      unit.serviceConfig.SupplementaryGroups
      (lib.filter (lib.hasInfix "acme") unit.serviceConfig.InaccessiblePaths)
      unit.serviceConfig.LoadCredential
      unit.unitConfig.AssertPathExists
    ];
    want = [
      true
      [
        "systemd-journal"
        "nginx"
      ]
      # The site's own key is there as well.
      [ "-/var/lib/acme" ]
      [ "store-key:/run/secrets/app-1-key" ]
      [ "/run/secrets/app-1-key" ]
    ];
  }
  {
    name = "without access logs the shipper is not in nginx' group, and follows no file";
    got =
      let
        without = host [
          (stack { })
          (sends { })
        ];
      in
      [
        without.systemd.services.slipway-logs.serviceConfig.SupplementaryGroups
        (map (input: input.name) without.services.slipway.telemetry.logs.settings.pipeline.inputs)
      ];
    want = [
      [ "systemd-journal" ]
      [
        "systemd"
        "fluentbit_metrics"
      ]
    ];
  }
  {
    name = "labels of counted requests are few, whatever a client or a program makes up";
    got =
      lib.filter (lib.hasInfix "status")
        (lib.findFirst (
          one: one.metric_name or null == "requests_total"
        ) { } config.services.slipway.telemetry.logs.settings.pipeline.filters).add_label or [ ];
    want = [ "status $metric_status" ];
  }
  {
    name = "units of a stack are known by name: replicas, stand-ins, jobs, its database and cache";
    got =
      let
        units = import ../../modules/telemetry/logs/units.nix {
          inherit lib;
        } config.services.slipway.stacks;
      in
      map (unit: "${units.${unit}.stack} ${units.${unit}.service}") [
        "shop-api-1.service"
        "shop-api-trial.service"
        "shop-migrate.service"
        "shop-database.service"
        "redis-shop.service"
        "redis-shop-password.service"
      ];
    want = [
      "shop api"
      "shop api"
      "shop migrate"
      "shop database"
      "shop cache"
      "shop cache"
    ];
  }
  {
    name = "shipper and store are targets";
    got = map (target: "${target.job} ${target.unit}") (
      lib.filter (target: target.job == "logs") keeps.services.slipway.telemetry.targets
    );
    want = [
      "logs victorialogs"
      "logs slipway-logs"
    ];
  }
  {
    name = "the store listens on 127.0.0.1 with both bounds";
    got = [
      keeps.services.victorialogs.listenAddress
    ]
    ++ lib.take 2 keeps.services.victorialogs.extraOptions;
    want = [
      "127.0.0.1:9428"
      "-retentionPeriod=30d"
      "-retention.maxDiskSpaceUsageBytes=20GiB"
    ];
  }
  {
    name = "senders are the watched hosts, by the names of their certificates";
    got = keeps.services.slipway.monitoring.logs.door.senders;
    want.app-1 = "app-1.internal";
  }
  {
    name = "the door says which host a line is from: by its certificate, its password, or this host's own";
    got =
      map (lib.flip lib.hasInfix (told { })) [
        "extra_fields=host=$slipway_host;"
        "extra_fields=host=monitor;"
        # A comma inside an organization's name begins no common name.
        "\"~(^|[^\\x5c],)CN=app-1\\.internal(,|$)\" app-1;"
        "proxy_pass_request_headers off;"
        "ssl_verify_client on;"
        "auth_basic"
      ]
      ++
        map
          (lib.flip lib.hasInfix (told {
            passwords = true;
          }))
          [
            "ssl_verify_client optional;"
            "auth_basic $slipway_realm;"
            "app-1 app-1;"
          ];
    want = [
      true
      true
      true
      true
      true
      false
      true
      true
      true
    ];
  }
  {
    name = "without an address the door takes this host's own lines only";
    got =
      map
        (lib.flip lib.hasInfix (told {
          listen = null;
        }))
        [
          "listen 127.0.0.1:9427;"
          " ssl;"
        ];
    want = [
      true
      false
    ];
  }
  {
    name = "OpenSearch is behind the door, on 127.0.0.1, and this host sends to it as well";
    got =
      let
        with-search = host [
          (monitoring { logs.opensearch.enable = true; })
        ];
      in
      [
        (lib.hasInfix "proxy_pass http://127.0.0.1:9210/_bulk;" (told {
          opensearch = 9210;
        }))
        with-search.services.opensearch.settings."network.host"
        with-search.services.opensearch.settings."discovery.type"
        (map (output: output.port) (outputs with-search))
      ];
    want = [
      true
      "127.0.0.1"
      "single-node"
      [
        9427
        9200
      ]
    ];
  }
  (saysAmong "OpenSearch at a port of a stack's metrics"
    [
      "services.slipway.stacks.shop.services.api.metrics.port"
      "services.opensearch.settings.\"http.port\" (9200)"
      "want the same port"
    ]
    [
      (stack { })
      (monitoring { logs.opensearch.enable = true; })
    ]
  )
  (saysAmong "a stack at the ports of the logs"
    [
      "services.slipway.stacks.shop.services.web.listen.port"
      "the log store's port (9428)"
    ]
    [
      {
        services.slipway.stacks.shop.services.web = {
          package = standIn "web";
          listen.port = 9428;
        };
      }
      (monitoring { })
    ]
  )
  (saysAmong "dashboards that this nixpkgs lacks"
    [ "opensearch.dashboards needs services.opensearch-dashboards" ]
    [
      (monitoring {
        logs.opensearch = {
          enable = true;
          dashboards = true;
        };
      })
    ]
  )
  (says "no endpoint and logs on"
    [ "telemetry.logs.enable is on and there is no place" "telemetry.logs.endpoint" ]
    {
      enable = true;
      endpoint = lib.mkForce null;
    }
  )
  (says "an endpoint that is no address" [ "telemetry.logs.endpoint is monitor" "https" ] {
    endpoint = lib.mkForce "monitor";
  })
  (says "an endpoint at half an address" [ "telemetry.logs.endpoint is https://999.1:9444" ] {
    endpoint = lib.mkForce "https://999.1:9444";
  })
  (says "lines that would travel unencrypted" [ "http://10.1.0.30:9427" "allowPlain" ] {
    endpoint = lib.mkForce "http://10.1.0.30:9427";
  })
  (says "a password that would travel unencrypted" [ "passwordFile would travel unencrypted" ] {
    endpoint = lib.mkForce "http://10.1.0.30:9427";
    allowPlain = true;
    user = "app-1";
    passwordFile = "/run/secrets/logs";
  })
  (says "a certificate without its key" [ "telemetry.logs has one of certificate and key" ] {
    key = lib.mkForce null;
  })
  (says "a password without a user"
    [ "telemetry.logs.elasticsearch has one of user and passwordFile" ]
    {
      elasticsearch = {
        endpoint = "https://search.example.com:9200";
        passwordFile = "/run/secrets/search";
      };
    }
  )
  (says "a host that the store cannot know" [ "lets known hosts in only" "passwordFile" ] {
    certificate = lib.mkForce null;
    key = lib.mkForce null;
  })
  (keeperSays "a door on every address" [ "logs.door.address is 0.0.0.0" ] { address = "0.0.0.0"; })
  (keeperSays "a door on half an address" [ "logs.door.address is 10.1" ] { address = "10.1"; })
  (keeperSays "senders at no address" [ "logs.door.clients" ] { clients = [ "999.1.0.11" ]; })
  (keeperSays "a door that nobody may pass" [ "logs.door.clients" ] { clients = [ ]; })
  (keeperSays "a door without a key" [ "logs.door has no key" ] { key = null; })
  (keeperSays "a door that knows nobody" [ "logs.door.authority" "passwordsFile" ] {
    authority = null;
  })
  (keeperSays "a door without senders" [ "logs.door.senders is empty" ] {
    senders = lib.mkForce { };
  })
  (keeperSays "senders with one certificate" [ "two hosts with one certificate name" ] {
    senders = lib.mkForce {
      app-1 = "app.internal";
      app-2 = "app.internal";
    };
  })
]
