# The result of `images` in mkWorkspace, with stand-ins for programs and for nix2container: the tests check its
# arguments.
{
  lib,
  mkWorkspace,
  pkgs,
  ...
}:
let
  # The images of a project of tests/workspaces.
  imagesOf =
    name:
    (import (../workspaces + "/${name}/case.nix") (args: mkWorkspace ({ inherit pkgs; } // args)))
    .images;

  contract = import ../../nix/contract.nix;

  program =
    name: more:
    (pkgs.writeText name "")
    // rec {
      version = "1.2.3+build.4";
      buildInputs = [ ];
      crate = {
        inherit name version;
        description = "What ${name} does";
        license = "MIT";
        repository = "https://git.example.org/shop";
        bins = [ name ];
      }
      // more.crate or { };
    }
    // removeAttrs more [ "crate" ];

  made =
    more: images:
    (import ../../nix/lib/mkWorkspace/images.nix (
      {
        inherit contract lib pkgs;
        nix2container = {
          buildLayer = args: args;
          buildImage = args: args;
        };
        packages = {
          api = program "api" { };
          worker = program "worker" { };
        };
        revision = "abc";
        lastModified = 0;
        source = null;
      }
      // more
    )).images
      images;
  one = more: image: (made more { inherit image; }).image;
  plain = one { } { bin = "api"; };
  full = one { source = "https://git.example.org/other"; } {
    bins = [
      "worker"
      "api"
    ];
    entrypoint = [
      "api"
      "--now"
    ];
    args = [ "serve" ];
    healthcheck = [ "ping" ];
    ports = [ "53/udp" ];
    env.A = "1";
    labels."org.opencontainers.image.title" = "Shop";
    name = "ghcr.io/acme/shop";
    tag = "stable";
    user.uid = 1234;
    workingDir = "/data";
    stopSignal = "SIGINT";
    tmp = false;
    maxMiB = 30;
    allow = [ "sh" ];
    contents = [
      ./snapshots
      {
        path = "/data/kept";
        text = "x";
      }
      {
        path = "/data";
        uid = 1234;
      }
      {
        path = "/etc/app.toml";
        source = ./images.nix;
        mode = "0640";
        gid = 7;
      }
    ];
  };
  names = image: map (layer: layer.metadata.created_by) image.layers;
  on =
    platform:
    pkgs
    // {
      stdenv = pkgs.stdenv // {
        hostPlatform = pkgs.stdenv.hostPlatform // platform;
      };
    };
  # A rule without the store path that it begins with.
  rule =
    perm:
    removeAttrs perm [ "path" ]
    // {
      regex = lib.last (lib.splitString "image-contents" perm.regex);
    };
in
[
  {
    name = "an image has its program's name, and its version as a tag";
    got = [
      plain.name
      plain.tag
      plain.arch
      plain.created
      plain.bins
      plain.maxMiB
    ];
    want = [
      "api"
      "1.2.3-build.4"
      pkgs.stdenv.hostPlatform.go.GOARCH
      "1970-01-01T00:00:00Z"
      [ "api" ]
      null
    ];
  }
  {
    name = "it starts its program as the contract's user, and says what the crate says";
    got = plain.config;
    want = {
      User = "1000:1000";
      Entrypoint = [ "/bin/api" ];
      Cmd = [ ];
      Env = [ "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt" ];
      ExposedPorts = { };
      StopSignal = "SIGTERM";
      WorkingDir = "/";
      Labels = {
        "org.opencontainers.image.created" = "1970-01-01T00:00:00Z";
        "org.opencontainers.image.description" = "What api does";
        "org.opencontainers.image.licenses" = "MIT";
        "org.opencontainers.image.revision" = "abc";
        "org.opencontainers.image.source" = "https://git.example.org/shop";
        "org.opencontainers.image.title" = "api";
        "org.opencontainers.image.version" = "1.2.3+build.4";
      };
    };
  }
  {
    name = "everything can be set";
    got = {
      inherit (full)
        allow
        bins
        maxMiB
        name
        tag
        ;
      inherit (full.config)
        Cmd
        Entrypoint
        Env
        ExposedPorts
        StopSignal
        User
        WorkingDir
        ;
      asked = full.config.Healthcheck.Test;
      title = full.config.Labels."org.opencontainers.image.title";
      source = full.config.Labels."org.opencontainers.image.source";
      # The first program's.
      description = full.config.Labels."org.opencontainers.image.description";
    };
    want = {
      allow = [ "sh" ];
      bins = [
        "worker"
        "api"
      ];
      maxMiB = 30;
      name = "ghcr.io/acme/shop";
      tag = "stable";
      Cmd = [ "serve" ];
      Entrypoint = [
        "/bin/api"
        "--now"
      ];
      Env = [
        "A=1"
        "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"
      ];
      ExposedPorts."53/udp" = { };
      StopSignal = "SIGINT";
      User = "1234:1234";
      WorkingDir = "/data";
      asked = [
        "CMD"
        "/bin/api"
        "ping"
      ];
      title = "Shop";
      source = "https://git.example.org/other";
      description = "What worker does";
    };
  }
  {
    name = "the program that runs is asked for its health, not the one that starts it";
    got =
      (one { } {
        bin = "api";
        entrypoint = [
          "/bin/init"
          "--"
          "/bin/api"
        ];
        healthcheck = [ "ping" ];
      }).config.Healthcheck.Test;
    want = [
      "CMD"
      "/bin/api"
      "ping"
    ];
  }
  {
    name = "the name of an image is in lower case";
    got =
      (one { packages.App = program "App" { }; } {
        bin = "App";
      }).name;
    want = "app";
  }
  {
    name = "what changes more often lies above what changes less often";
    got = [
      (names plain)
      (names full)
    ];
    want = [
      [
        "C library"
        "certificates and time zones"
        "program"
      ]
      [
        "C library"
        "certificates and time zones"
        "contents"
        "program"
      ]
    ];
  }
  {
    name = "each layer is built on those below it";
    got = map (layer: map (lower: lower.metadata.created_by) layer.layers) full.layers;
    want = lib.genList (count: lib.take count (names full)) 4;
  }
  {
    name = "libraries bring the C library that they were linked to";
    got = names (
      one { packages.api = program "api" { buildInputs = [ pkgs.zlib ]; }; } { bin = "api"; }
    );
    want = [
      "C library and others"
      "certificates and time zones"
      "program"
    ];
  }
  {
    name = "a static program needs no C library";
    got = names (one { pkgs = on { isStatic = true; }; } { bin = "api"; });
    want = [
      "certificates and time zones"
      "program"
    ];
  }
  {
    name = "an image is for the machine that its program is for";
    got = (one { pkgs = on { go.GOARCH = "arm64"; }; } { bin = "api"; }).arch;
    want = "arm64";
  }
  {
    name = "of two crates that make a program of one name, the one that is named";
    got =
      let
        packages = lib.genAttrs [ "left" "right" ] (
          name:
          program name {
            crate.bins = [ "serve" ];
          }
        );
      in
      (one { inherit packages; } {
        bin = "serve";
        crate = "right";
      }).config.Labels."org.opencontainers.image.description";
    want = "What right does";
  }
  {
    name = "contents have owners and modes, and a folder's come before those of what lies in it";
    got = map rule (lib.elemAt full.layers 2).perms;
    want = [
      {
        regex = "/data(/.*)?$";
        mode = "0755";
        uid = 1234;
        gid = 1234;
        uname = "slipway";
        gname = "slipway";
      }
      {
        regex = "/data/kept(/.*)?$";
        uid = 0;
        gid = 0;
        uname = "root";
        gname = "root";
      }
      {
        regex = "/etc/app\\.toml(/.*)?$";
        mode = "0640";
        uid = 0;
        gid = 7;
        uname = "root";
        gname = "7";
      }
    ];
  }
  {
    name = "the check of an image looks for what was asked of its files, and for /tmp";
    got = [
      (map (file: file.path) full.files)
      plain.files
    ];
    want = [
      [
        "/data"
        "/data/kept"
        "/etc/app.toml"
      ]
      [
        {
          path = "/tmp";
          mode = "1777";
          uid = 0;
          gid = 0;
        }
      ]
    ];
  }
  {
    name = "projects have images with their crates' versions as tags, without the `+`";
    got = map (name: (imagesOf name).img.imageTag) [
      "crate-version"
      "version-plus"
    ];
    want = [
      "1.4.0"
      "1.2.3-build5"
    ];
  }
  {
    name = "a single crate says its licence, repository and description";
    got = removeAttrs (imagesOf "single-license").img.config.Labels [
      "org.opencontainers.image.created"
    ];
    want = {
      "org.opencontainers.image.description" = "d";
      "org.opencontainers.image.licenses" = "MIT";
      "org.opencontainers.image.source" = "https://example.org/x";
      "org.opencontainers.image.title" = "api";
      "org.opencontainers.image.version" = "1.0.0";
    };
  }
  {
    name = "an image holds the programs of two crates, and another listens on UDP";
    got = [
      (imagesOf "two-crates-one-image").a.bins
      (imagesOf "ports-udp").img.config.ExposedPorts
    ];
    want = [
      [
        "api"
        "mig"
      ]
      { "53/udp" = { }; }
    ];
  }
]
