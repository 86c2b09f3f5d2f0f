let
  oci = import ../oci.nix;
  contract = import ../../contract.nix;
  time = seconds: want: {
    name = "oci: rfc3339 ${toString seconds}";
    got = oci.rfc3339 seconds;
    inherit want;
  };
  config = oci.config {
    inherit contract;
    program = "/bin/api";
    args = [ "serve" ];
    env = {
      B = "2";
      A = "1";
    };
    ports = [
      8000
      "53/udp"
    ];
    labels = { };
    test = [ "healthcheck" ];
  };
in
[
  (time 0 "1970-01-01T00:00:00Z")
  (time 951782400 "2000-02-29T00:00:00Z")
  (time 951868799 "2000-02-29T23:59:59Z")
  (time 1785782307 "2026-08-03T18:38:27Z")
  (time 4107542400 "2100-03-01T00:00:00Z")
  {
    name = "oci: configuration";
    got = config;
    want = {
      User = "1000:1000";
      Entrypoint = [ "/bin/api" ];
      Cmd = [ "serve" ];
      Env = [
        "A=1"
        "B=2"
      ];
      ExposedPorts = {
        "8000/tcp" = { };
        "53/udp" = { };
      };
      Labels = { };
      StopSignal = "SIGTERM";
      WorkingDir = "/";
      Healthcheck = {
        Test = [
          "CMD"
          "/bin/api"
          "healthcheck"
        ];
        Interval = 30000000000;
        Timeout = 10000000000;
        StartPeriod = 40000000000;
        Retries = 3;
      };
    };
  }
  {
    name = "oci: labels leave out what is not known";
    got = oci.labels {
      title = "api";
      version = "1.2.3";
      lastModified = 0;
      licenses = "Apache-2.0";
    };
    want = {
      "org.opencontainers.image.created" = "1970-01-01T00:00:00Z";
      "org.opencontainers.image.licenses" = "Apache-2.0";
      "org.opencontainers.image.title" = "api";
      "org.opencontainers.image.version" = "1.2.3";
    };
  }
  {
    name = "oci: names that registries take";
    got = builtins.filter (name: !oci.isName name) [
      "api"
      "a/b-c/d__e.f"
      "ghcr.io/acme/api"
      "localhost/api"
      "registry:5000/api"
      "[::1]:5000/api"
    ];
    want = [ ];
  }
  {
    name = "oci: names that registries do not take";
    got = builtins.filter oci.isName [
      ""
      "Api"
      "acme/Api"
      "/api"
      "api/"
      "a//b"
      "a___b"
      "_a"
      "a_"
      "api:1.0"
      "a b"
    ];
    want = [ ];
  }
  {
    name = "oci: a version as a tag, and tags that are none";
    got = [
      (oci.tagOf "1.0.0-rc.1+build.5")
      (map oci.isTag [
        "1.0.0-rc.1-build.5"
        "1.0+x"
        ""
        "-a"
        (toString (builtins.genList (_: 0) 65))
      ])
    ];
    want = [
      "1.0.0-rc.1-build.5"
      [
        true
        false
        false
        false
        false
      ]
    ];
  }
  {
    name = "oci: the name of a program's image";
    got = oci.nameOf "MyApp";
    want = "myapp";
  }
  {
    name = "oci: what else an image starts with, and as whom";
    got =
      let
        config = oci.config {
          inherit contract;
          program = "/bin/api";
          entrypoint = [
            "/bin/init"
            "/bin/api"
          ];
          test = [ "ping" ];
          args = [ ];
          env = { };
          ports = [ ];
          labels = { };
          user = {
            uid = 7;
            gid = 8;
          };
          workingDir = "/data";
          stopSignal = "SIGINT";
        };
      in
      [
        config.Entrypoint
        config.Healthcheck.Test
        config.StopSignal
        config.User
        config.WorkingDir
      ];
    want = [
      [
        "/bin/init"
        "/bin/api"
      ]
      [
        "CMD"
        "/bin/api"
        "ping"
      ]
      "SIGINT"
      "7:8"
      "/data"
    ];
  }
]
