# Slipway's own outputs for one system: one call of mkWorkspace, and what is ours alone.
{
  self,
  agenix,
  mkWorkspace,
  workspaceProblems,
  pkgs,
}:
let
  inherit (pkgs) lib;
  inherit (pkgs.stdenv.hostPlatform) system;
  contract = import ./contract.nix;
  # The rules of accessible pages, which the tests of the console run. `./dev` installs the same file elsewhere.
  axe =
    let
      wheel = pkgs.fetchPypi {
        pname = "axe_playwright_python";
        version = "0.1.8";
        format = "wheel";
        dist = "py3";
        python = "py3";
        hash = "sha256-/dJjyZg4jxqOZ8rQJnfmEtlGJIvUTRY75ehlDqMflfg=";
      };
    in
    pkgs.runCommand "axe-core" { nativeBuildInputs = [ pkgs.unzip ]; } ''
      unzip -j ${wheel} axe_playwright_python/axe.min.js -d $out
    '';

  workspace = mkWorkspace {
    inherit pkgs;
    src = ../.;
    revision = self.rev or self.dirtyRev or null;
    inherit (self) lastModified;
    images = import ./images.nix { inherit contract; };
    profile = "dist";
    packageArgs = import ./package-args.nix;
    services = [
      "postgres"
      "redis"
    ];
    testSources = [
      ../.env.example
      ../.env.production.example
      ../docs
      # Redis with Sentinels, as tests of slipway-wake run it.
      ../deploy/cluster
    ];
    # Tests create flakes and stores.
    testInputs = [
      pkgs.gitMinimal
      pkgs.nix
      # What signs releases.
      pkgs.minisign
      pkgs.openssh
      # The store's tests go through it.
      pkgs.pgbouncer
    ];
    # These start nginx and whole fleets, or need mounts of their own and pgBackRest; `./dev test` runs them outside the
    # sandbox.
    nextestArgs = lib.concatStringsSep " " [
      "--no-fail-fast"
      "--filterset 'not package(slipway-dev) and not (package(slipway-backup) and kind(test))"
      "and not (package(slipway-agent) and test(/^disk::/))"
      "and not (package(slipway-host) and test(/^esp::/))'"
    ];
    shellInputs = [
      pkgs.curl
      pkgs.gitMinimal
      pkgs.minisign
      pkgs.nginx
      pkgs.openssh
      pkgs.openssl
      # What `./dev test` has judge and feed the alerts; promtool is in `cli`.
      pkgs.prometheus
      pkgs.prometheus.cli
      pkgs.prometheus-alertmanager
      pkgs.prometheus-blackbox-exporter
      pkgs.prometheus-nginx-exporter
      pkgs.prometheus-node-exporter
      pkgs.prometheus-postgres-exporter
      pkgs.prometheus-redis-exporter
      pkgs.pgbackrest
      pkgs.pgbouncer
      pkgs.rclone
      pkgs.restic
      pkgs.nixfmt
      pkgs.statix
      pkgs.deadnix
      pkgs.shellcheck
      agenix.packages.${system}.default
    ]
    ++ lib.optionals pkgs.stdenv.hostPlatform.isLinux [
      # `./dev` starts programs with its setpriv, flock and setsid.
      pkgs.util-linux
      # `./dev cluster` runs them, in networks that it cuts.
      pkgs.etcd
      pkgs.haproxy
      pkgs.iproute2
      pkgs.nftables
      pkgs.patroni
      # `./dev test` counts instructions with it.
      pkgs.valgrind
      # `./dev test` has it judge the units that the modules make.
      pkgs.systemd
    ];
  };

  options = import ./options-doc.nix {
    inherit pkgs;
    modules = [
      self.nixosModules.default
      self.nixosModules.agenix
    ];
  };
  # deploy/ is the rendering of our own stack, by what the flake gives to everybody.
  own = import ./containers/slipway.nix;
  compose = (import ./containers).compose ({ inherit pkgs; } // own.compose);
  kubernetes = (import ./containers).kubernetes ({ inherit pkgs; } // own.kubernetes);
  filesOf =
    name: files: pkgs.linkFarm name (lib.mapAttrs (path: pkgs.writeText (baseNameOf path)) files);
  cluster = filesOf "cluster" (import ./cluster).files;
  monitoring = filesOf "monitoring" (import ./monitoring).files;
  render = import ./render.nix {
    inherit
      pkgs
      cluster
      compose
      kubernetes
      monitoring
      ;
    options = options.rendered;
    snapshots = import ../tests/eval/snapshots { inherit pkgs; };
  };
  docs = import ./docs.nix { inherit pkgs workspace; };
  formatter = pkgs.nixfmt-tree;

  packages =
    workspace.packages
    // workspace.images
    // {
      default = workspace.packages.slipway;
      images = pkgs.linkFarm "images" workspace.images;
      inherit compose docs kubernetes;
      options = options.rendered;
    };

  app = program: description: {
    type = "app";
    inherit program;
    meta = { inherit description; };
  };
in
{
  inherit formatter packages;
  commandLine = {
    default = workspace.packages.slipway;
    inherit (workspace.packages) slipway;
  };
  devShells.default = workspace.devShell.overrideAttrs (shell: {
    SLIPWAY_DEV_AXE = "${axe}/axe.min.js";
    # Here, so that nothing but the shell needs a browser to be evaluated.
    nativeBuildInputs =
      shell.nativeBuildInputs
      ++ lib.optionals pkgs.stdenv.hostPlatform.isLinux [
        pkgs.chromedriver
        pkgs.chromium
      ];
  });
  apps = {
    default = app (lib.getExe packages.slipway) "The command line";
    dev = app "${packages.slipway-dev}/bin/slipway-dev" "Postgres, Redis, nginx, replicas and agents on this machine";
    migrate = app "${pkgs.writeShellScript "slipway-migrate" ''
      exec ${packages.slipway-api}/bin/slipway-api migrate "$@"
    ''}" "Apply the migrations that the database of the settings lacks";
    render = app (lib.getExe render) "Write what is committed as rendered anew: deploy/ from nix/containers/slipway.nix, nix/cluster/ and nix/monitoring/, docs/options.md and tests/eval/snapshots/ from modules/";
  };
  checks =
    workspace.checks
    // import ./checks.nix {
      inherit
        pkgs
        agenix
        workspace
        compose
        kubernetes
        options
        mkWorkspace
        workspaceProblems
        contract
        ;
    }
    // lib.optionalAttrs (system == "x86_64-linux") (import ../tests/nixos { inherit pkgs self; });
}
