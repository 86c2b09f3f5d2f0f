# Where spans go, and how Sentry's releases are named.
{
  host,
  says,
  stack,
  standIn,
  lib,
  ...
}:
let
  traces = options: { services.slipway.telemetry.traces = options; };
  agent = {
    services.slipway.agent = {
      enable = true;
      apiUrl = "https://deploy.example.com";
      tokenFile = "/run/secrets/agent-token";
    };
  };
  vendor = {
    endpoint = "https://otlp.example.com";
    headersFile = "/run/secrets/otlp-headers";
    caFile = "/etc/ssl/own-ca.pem";
    addresses = [ "any" ];
  };
  # A program without the contract is left alone.
  shop = stack { services.web.package = standIn "web"; };
  config = host [
    shop
    agent
    (traces vendor)
  ];
  units = config.systemd.services;
  otel = unit: {
    environment = lib.filterAttrs (name: _: lib.hasPrefix "OTEL_" name) units.${unit}.environment;
    credentials = lib.filter (lib.hasPrefix "OTEL_") (
      lib.toList (units.${unit}.serviceConfig.LoadCredential or [ ])
    );
  };
  sent = {
    environment = {
      OTEL_EXPORTER_OTLP_ENDPOINT = "https://otlp.example.com";
      OTEL_EXPORTER_OTLP_CERTIFICATE = "/etc/ssl/own-ca.pem";
    };
    credentials = [ "OTEL_EXPORTER_OTLP_HEADERS:/run/secrets/otlp-headers" ];
  };
  wrong =
    name: words: options:
    says name words [
      shop
      agent
      (traces (vendor // options))
    ];
in
[
  {
    name = "the agent and programs with the contract send spans, with headers as a credential";
    got = lib.genAttrs [ "slipway-agent" "shop-api-1" "shop-worker-1" "shop-web-1" ] otel;
    want = {
      slipway-agent = sent;
      shop-api-1 = sent;
      shop-worker-1 = sent;
      shop-web-1 = {
        environment = { };
        credentials = [ ];
      };
    };
  }
  {
    name = "the agent keeps its token beside the headers";
    got = lib.elem "AGENT_TOKEN:/run/secrets/agent-token" units.slipway-agent.serviceConfig.LoadCredential;
    want = true;
  }
  {
    name = "programs may talk to the receiver, and only those that send";
    got =
      map
        (
          addresses:
          lib.genAttrs [ "shop-api-1" "shop-web-1" ] (
            unit:
            (host [
              shop
              (traces (vendor // { inherit addresses; }))
            ]).systemd.services.${unit}.serviceConfig.IPAddressAllow or "all"
          )
        )
        [
          [ "10.0.0.30" ]
          [ "any" ]
        ];
    want = [
      {
        shop-api-1 = [
          "localhost"
          "10.0.0.30"
        ];
        shop-web-1 = [ "localhost" ];
      }
      {
        shop-api-1 = "all";
        shop-web-1 = [ "localhost" ];
      }
    ];
  }
  {
    name = "a receiver on the host needs nothing else, and nothing is sent without one";
    got =
      map
        (
          modules:
          (host ([ shop ] ++ modules)).systemd.services.shop-api-1.environment.OTEL_EXPORTER_OTLP_ENDPOINT
            or null
        )
        [
          [ (traces { endpoint = "http://127.0.0.1:4318"; }) ]
          [ ]
        ];
    want = [
      "http://127.0.0.1:4318"
      null
    ];
  }
  {
    name = "a host where nothing sends spans says so";
    got =
      map
        (
          modules:
          lib.filter (lib.hasInfix "telemetry.traces") (host ([ (traces vendor) ] ++ modules)).warnings != [ ]
        )
        [
          [ ]
          [ { services.slipway.stacks.plain.services.web.package = standIn "web"; } ]
          [
            shop
            { services.slipway.stacks.shop.enable = false; }
          ]
          [ shop ]
          [ agent ]
        ];
    want = [
      true
      true
      true
      false
      false
    ];
  }
  {
    name = "what a stack says goes before what the host says";
    got =
      (host [
        (stack { environment.OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:9"; })
        (traces vendor)
      ]).systemd.services.shop-api-1.environment.OTEL_EXPORTER_OTLP_ENDPOINT;
    want = "http://127.0.0.1:9";
  }
  {
    name = "Sentry's releases have the name and version of the program, where there is a DSN";
    got =
      let
        releases =
          options: (host [ (stack options) ]).systemd.services.shop-own-1.environment.SENTRY_RELEASE or null;
        named = package: { services.own.package = package; };
        versioned = standIn "own" // {
          pname = "shop-own";
          version = "1.2.0";
        };
      in
      map releases [
        (named versioned // { secrets.SENTRY_DSN = "/run/secrets/dsn"; })
        (named versioned)
        {
          services.own = {
            package = versioned;
            environment.SENTRY_RELEASE = "own";
            secrets.SENTRY_DSN = "/run/secrets/dsn";
          };
        }
      ];
    want = [
      "shop-own@1.2.0"
      null
      "own"
    ];
  }
  (wrong "an endpoint with credentials" [ "without credentials" "headersFile" ] {
    endpoint = "https://key@otlp.example.com";
  })
  (wrong "an endpoint with the path that programs add" [ "without /v1/traces" ] {
    endpoint = "https://otlp.example.com/v1/traces";
  })
  (wrong "headers over plain HTTP" [ "unencrypted" "https://" ] {
    endpoint = "http://otlp.example.com";
    caFile = null;
  })
  (wrong "a certificate for plain HTTP" [ "caFile" "needs no certificate" ] {
    endpoint = "http://127.0.0.1:4318";
  })
  (wrong "a receiver that the sandbox would not let programs reach" [ "addresses" "any" ] {
    addresses = [ ];
  })
]
