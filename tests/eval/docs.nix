# The Nix code of the pages works. docs/production.md's files make a flake whose hosts evaluate after every step, and
# every other snippet is a module for a host.
{
  host,
  agenix,
  nixosModules,
  standIn,
  pkgs,
  lib,
  ...
}:
let
  pages = import ./pages.nix { inherit lib; };
  cluster = import ./cluster-tools.nix { inherit host lib; };
  page = ../../docs/production.md;
  commands = builtins.readFile page;
  files = pages.files page;

  # Files that the page's commands make, and what stands for each here.
  made =
    path:
    if lib.hasSuffix ".age" path then
      ../../secrets/prod/slipway-secret-key.age
    else if lib.hasSuffix ".pub" path then
      builtins.toFile "key.pub" "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMviJJnrnHKuKQ/cvLSe2o8eY6qhk8KoLhEuflSJHE+h\n"
    else
      throw "docs/production.md: ${path} is used, and nothing makes it";

  nixpkgs = {
    legacyPackages.${pkgs.stdenv.hostPlatform.system} = pkgs;
    lib = lib // {
      nixosSystem = import (pkgs.path + "/nixos/lib/eval-config.nix");
    };
  };

  # A flake of the files with these names; `more` are imports that the page has one add to hosts/web-1/default.nix.
  flake =
    { outputs, more }:
    let
      place =
        path:
        if path == "hosts/hardware/\${name}.nix" then
          toString ../../hosts/placeholder.nix
        else if lib.hasPrefix "hosts/prod/" path then
          "${toString ../..}/${path}"
        else if files ? ${path} then
          written path
        else if files ? "${path}/default.nix" then
          written "${path}/default.nix"
        else if lib.hasInfix (baseNameOf path) commands then
          toString (made path)
        else
          throw "docs/production.md: ${path} is used, and no step makes it";
      written = path: "${builtins.toFile (baseNameOf path) (pages.resolved place path (text path))}";
      text =
        path:
        if path == "hosts/web-1/default.nix" then
          lib.replaceStrings [ "./secrets.nix" ] [ "./secrets.nix ${toString more}" ] files.${path}
        else if path == "flake.nix" then
          outputs files.${path}
        else
          files.${path};
      result = (import (written "flake.nix")).outputs {
        self = {
          outPath = toString ../..;
          inherit (result) nixosConfigurations;
        };
        inherit nixpkgs;
        slipway = {
          inherit nixosModules;
          packages.${pkgs.stdenv.hostPlatform.system}.slipway = standIn "slipway";
          inputs = { inherit agenix; };
        };
        # Its layouts are its own to check; here they may be anything.
        disko.nixosModules.disko.options.disko.devices = lib.mkOption { type = lib.types.anything; };
      };
    in
    { inherit written; } // result;

  built = config: lib.hasSuffix ".drv" config.system.build.toplevel.drvPath;
  afterStep =
    name: more:
    let
      inherit
        ((flake {
          outputs = text: text;
          inherit more;
        }).nixosConfigurations.web-1
        )
        config
        ;
    in
    {
      name = "docs/production.md: the host evaluates ${name}";
      got = {
        builds = built config;
        enabled = lib.sort lib.lessThan (
          lib.filter (unit: config.systemd.services ? ${unit}) [
            "slipway-agent"
            "slipway-backup-offsite"
          ]
        );
        warned = map (lib.hasInfix "backup.offsite names no repository") config.warnings;
      };
      want = {
        builds = true;
        enabled =
          lib.optional (lib.elem "./agent.nix" more) "slipway-agent"
          ++ lib.optional (lib.elem "./backup.nix" more) "slipway-backup-offsite";
        # The only warning, until the step about backups.
        warned = lib.optional (!lib.elem "./backup.nix" more) true;
      };
    };

  several = flake {
    more = [ ];
    outputs =
      lib.replaceStrings
        [ "nixosConfigurations.web-1 = host \"web-1\" ./hosts/web-1;" ]
        [
          "nixosConfigurations = ${files."flake.nix: nixosConfigurations"};"
        ];
  };
  fleet = several.nixosConfigurations;
  backedUp = fleet.prod-db.extendModules {
    modules = [ (several.written "hosts/web-1/backup.nix") ];
  };

  # Pages whose blocks are modules of a host, with what the text around them takes as given.
  modules = {
    "README.md" = { };
    "docs/agent.md" = { };
    "docs/backup-and-restore.md".services.slipway.stacks.shop = {
      api.package = standIn "shop";
      worker.package = standIn "shop";
    };
    "deploy/compose/README.md" = { };
    "deploy/kubernetes/README.md" = { };
    "docs/api.md" = { };
    "docs/architecture.md" = { };
    "docs/coming-from-compose.md" = { };
    "docs/moving-from-compose.md".services.slipway.stacks.shop = {
      proxy.domain = "shop.example.com";
      services.api = {
        preset = "api";
        package = standIn "shop";
      };
    };
    "docs/database.md" = { };
    "docs/edge.md" = {
      networking.hostName = "edge-1";
      services.slipway.stacks.shop.services.api = {
        preset = "api";
        package = standIn "shop";
      };
      services.slipway.stacks.shop.proxy.domain = "shop.example.com";
      security.acme = {
        acceptTerms = true;
        defaults.email = "ops@example.com";
      };
    };
    "docs/high-availability.md" = {
      imports = cluster.modules "ha-1" { redis.passwordFile = "/run/secrets/redis"; };
    };
    "docs/logs.md" = { };
    "docs/console.md" = { };
    "docs/messages.md" = { };
    "docs/observability.md".services.slipway.stacks.shop.services.web.package = standIn "shop";
    "docs/rollouts.md" = { };
    "docs/runbooks.md".services.slipway.monitoring.enable = true;
    "docs/settings.md" = { };
    "docs/stacks.md" = { };
    "docs/traces.md" = { };
    "docs/trust.md" = { };
    "hosts/README.md" = { };
    "secrets/README.md" = { };
    "templates/default/README.md" = { };
  };
  # Evaluated elsewhere, or made from what is evaluated.
  elsewhere = [
    "docs/build.md"
    "docs/containers.md"
    "docs/options.md"
    "docs/production.md"
    "docs/workspaces.md"
  ];
  withNix = lib.filter (
    name: lib.hasSuffix ".md" name && lib.hasInfix "```nix" (builtins.readFile (../.. + "/${name}"))
  ) (map (name: "docs/${name}") (lib.attrNames (builtins.readDir ../../docs)));
  # Blocks use `packages` without saying where it comes from, unless they say what they take.
  asModule = text: lib.optionalString (lib.hasPrefix "{\n" text) "{ packages, ... }:\n" + text;
  ofPage =
    name: given:
    lib.imap1 (number: block: {
      name = "${name}: Nix block ${toString number} evaluates";
      got =
        let
          config = host [
            (import (builtins.toFile "snippet.nix" (asModule block.text)))
            given
            {
              _module.args = {
                self = {
                  outPath = toString ../..;
                  nixosConfigurations = { };
                };
                # A program or a site, whatever its name.
                packages = lib.genAttrs [
                  "calendar"
                  "mailer"
                  "migrations"
                  "render"
                  "shop"
                  "shop-api"
                  "shop-worker"
                  "site"
                ] standIn;
              };
            }
          ];
        in
        map (failed: failed.message) (lib.filter (a: !a.assertion) config.assertions);
      want = [ ];
    }) (lib.filter (block: block.path != "flake.nix") (pages.blocks (../.. + "/${name}")));

  # docs/stacks.md: a whole flake whose program is none of Rust.
  python =
    let
      text = (pages.files ../../docs/stacks.md)."flake.nix";
      place =
        path:
        toString (
          {
            shop = ./site;
            "hardware.nix" = ../../hosts/placeholder.nix;
          }
          .${path}
        );
    in
    (import (builtins.toFile "flake.nix" (pages.resolved place "flake.nix" text))).outputs {
      inherit nixpkgs;
      slipway = {
        inherit nixosModules;
        lib = import ../../nix/containers;
      };
    };

  rules = import (
    builtins.toFile "secrets.nix" (
      pages.resolved (
        path: if lib.hasInfix (baseNameOf path) commands then toString (made path) else throw path
      ) "secrets/secrets.nix" files."secrets/secrets.nix"
    )
  );
  fleetRules = import (
    builtins.toFile "secrets.nix" "let hosts = { db = null; }; readableBy = _: { }; in ${
      files."secrets/secrets.nix: more files"
    }"
  );
  # Every secret that a step encrypts, in the folder of the rules.
  encrypted = lib.unique (
    map lib.head (lib.filter lib.isList (builtins.split "agenix -e ([a-z-]+\\.age)" commands))
  );
in
[
  {
    name = "each page with Nix is evaluated";
    got = lib.subtractLists (lib.attrNames modules ++ elsewhere) withNix;
    want = [ ];
  }
  (afterStep "when it is installed" [ ])
  (afterStep "with its agent" [ "./agent.nix" ])
  (afterStep "with its backups" [
    "./agent.nix"
    "./backup.nix"
  ])
  {
    name = "docs/production.md: the shell evaluates";
    got =
      lib.hasSuffix ".drv"
        (flake {
          outputs = text: text;
          more = [ ];
        }).devShells.${pkgs.stdenv.hostPlatform.system}.default.drvPath;
    want = true;
  }
  {
    name = "docs/stacks.md: the flake's host, image and files for Compose evaluate";
    got =
      let
        made = python.packages.${pkgs.stdenv.hostPlatform.system};
        inherit (python.nixosConfigurations.web-1) config;
      in
      {
        host = built config;
        command = baseNameOf (
          lib.head (lib.splitString " " config.systemd.services.shop-web-1.serviceConfig.ExecStart)
        );
        image = lib.hasSuffix ".drv" made.image.drvPath;
        compose = lib.attrNames made.compose.objects.services;
      };
    want = {
      host = true;
      command = "shop";
      image = true;
      compose = [
        "nginx"
        "web"
      ];
    };
  }
  {
    name = "docs/production.md: the hosts of the fleet evaluate";
    got = lib.mapAttrs (_: { config, ... }: built config) fleet;
    want = lib.genAttrs [ "prod-app-1" "prod-app-2" "prod-db" "prod-edge" "prod-monitor" ] (_: true);
  }
  {
    name = "docs/production.md: the database's host evaluates with its backups";
    got = {
      builds = built backedUp.config;
      copies = backedUp.config.systemd.services ? slipway-backup-offsite;
    };
    want = {
      builds = true;
      copies = true;
    };
  }
  {
    name = "docs/production.md: every secret that is encrypted has a rule, and every rule a secret";
    got = lib.sort lib.lessThan encrypted;
    want = lib.attrNames rules;
  }
  {
    name = "docs/production.md: the fleet's further secrets are of the first part";
    got = lib.subtractLists (lib.attrNames rules) (lib.attrNames fleetRules);
    want = [ ];
  }
]
++ lib.concatLists (lib.mapAttrsToList ofPage modules)
