let
  arguments = import ../mkWorkspace/arguments.nix;
  good = {
    pkgs.stdenv = { };
    src = ./.;
  };
  facts = {
    base = ./.;
    selection = {
      makers = {
        api = [ "api" ];
        worker = [ "worker" ];
      };
      lacking.ctl = [ "cli" ];
      crateNames = [
        "api"
        "core"
        "worker"
      ];
      unknownFeatures = [ ];
    };
    packageNames = [
      "api"
      "worker"
    ];
    checkNames = [ "rust-fmt" ];
    packageArgs = { };
    lock.package = [ ];
    rustVersion = "1.95.0";
    compiled = [
      {
        name = "api";
        rustVersion = "1.95";
      }
      {
        name = "core";
        rustVersion = null;
      }
    ];
    registries."registry+https://github.com/rust-lang/crates.io-index" = { };
    profiles = [
      "dev"
      "release"
      "dist"
    ];
  };
  shape = name: args: want: {
    name = "mkWorkspace: ${name}";
    got = arguments.shapeProblems args;
    inherit want;
  };
  meaning = name: facts: args: want: {
    name = "mkWorkspace: ${name}";
    got = arguments.meaningProblems facts (good // args);
    inherit want;
  };
in
[
  (shape "nothing wrong" good [ ])
  (shape "no pkgs" { src = ./.; } [
    "`pkgs` is missing: give a nixpkgs package set, such as `nixpkgs.legacyPackages.x86_64-linux`"
  ])
  (shape "src as text" (good // { src = "/x"; }) [
    "`src` is a string: give a path such as `./.`, a flake's input, or a filtered source; a text cannot be filtered"
  ])
  (shape "src as a flake's input" (good // { src.outPath = "/x"; }) [ ])
  (shape "a folder that leads out of src" (good // { cargoRoot = "a/../.."; }) [
    "`cargoRoot` is a string: give the folder of the workspace's Cargo.toml below `src` as text, such as \"backend\""
  ])
  {
    name = "mkWorkspace: a misspelt argument is named, with those there are";
    got =
      builtins.match "`binz` is not known here; there are .*`bins`.*" (
        builtins.head (arguments.shapeProblems (good // { binz = [ ]; }))
      ) != null;
    want = true;
  }
  (shape "an unknown service" (good // { services = [ "mysql" ]; }) [
    "`services` is a list: give a list out of `postgres` and `redis`, which run beside the tests"
  ])
  (meaning "nothing wrong with the meaning" facts {
    bins = [ "api" ];
    images.image.bin = "api";
  } [ ])
  (meaning "a compiler that is too old" (facts // { rustVersion = "1.94.1"; }) { } [
    "Rust 1.95 is what `api` asks for, and the compiler is 1.94.1: set `toolchain`, such as `p: p.rust-bin.stable.latest.default` of rust-overlay"
  ])
  (meaning "a nightly compiler" (facts // { rustVersion = "1.95.0-nightly-2026-01-01"; }) { } [ ])
  (meaning "a compiler of no known version" (facts // { rustVersion = null; }) { } [ ])
  (meaning "a program that is not there" facts { bins = [ "apii" ]; } [
    "`bins` names `apii`, which no crate makes; there are `api`, `worker`, `ctl`"
  ])
  (meaning "an image of a program that is not there" facts { images.image.bin = "x"; } [
    "`images.image.bin` names `x`, which no crate makes; there are `api`, `worker`"
  ])
  (meaning "an image with the name of a check" facts { images.rust-fmt.bin = "api"; } [
    "`images.rust-fmt` has the name of the check `rust-fmt` and would take its place: call the image `images.rust-fmt-image`"
  ])
  (meaning "a profile of the workspace" facts { profile = "dist"; } [ ])
  (meaning "a profile that is not there" facts { profile = "small"; } [
    "`profile` is `small`, which `src` has no section for; there are `dev`, `release`, `dist`"
  ])
  (meaning "a program whose features are off" facts { bins = [ "ctl" ]; } [
    "`bins` names `ctl`, which needs the features `cli`: set `features` to them"
  ])
  (meaning "a crate that is not there" facts
    {
      crates = [
        "core"
        "cor"
      ];
    }
    [
      "`crates` names `cor`, which is no crate here; there are `api`, `core`, `worker`"
    ]
  )
  (meaning "a feature of no crate" (
    facts
    // {
      selection = facts.selection // {
        unknownFeatures = [ "tsl" ];
      };
    }
  ) { } [ "`features` names `tsl`, which no crate has" ])
  (meaning "arguments of a package that is not there" (facts // { packageArgs.apii = { }; }) { } [
    "`packageArgs` names `apii`, which is no crate that makes a package; there are `api`, `worker`"
  ])
  (meaning "arguments of packages that are no set" (facts // { packageArgs = [ ]; }) { } [
    "`packageArgs` gives a list: give a set by name of crate"
  ])
  (meaning "sources that are no paths" facts { extraSources = [ "proto" ]; } [
    "`extraSources` holds a string, `proto`: give a path without quotes, such as `./templates`"
  ])
  (meaning "sources that are not there" facts { testSources = [ ./nothing ]; } [
    "`testSources` names `${toString ./nothing}`, which is not there: mend the path, or `git add` it, for a flake sees only such files"
  ])
  (meaning "sources outside of src" facts { extraSources.api = [ ../oci.nix ]; } [
    "`extraSources.api` names `${toString ../oci.nix}`, which is outside of `src`: give `src` the folder that holds both, and `cargoRoot`"
  ])
  (meaning "sources of a crate that is not there" facts { extraSources.apii = [ ]; } [
    "`extraSources` names `apii`, which is no crate here; there are `api`, `core`, `worker`"
  ])
  (meaning "a registry that is not known"
    (
      facts
      // {
        lock.package = [
          { source = "registry+https://corp.example/index"; }
          { source = "registry+https://github.com/rust-lang/crates.io-index"; }
          { source = "git+https://example.org/x#1"; }
          { name = "api"; }
        ];
      }
    )
    { }
    [
      "Cargo.lock takes crates from `registry+https://corp.example/index`, which is not known: set `craneLib = lib: lib.appendCrateRegistries [ (lib.registryFromSparse { … }) ];`"
    ]
  )
  (meaning "hashes of git dependencies, one as Cargo.lock writes it and one of no crate"
    (
      facts
      // {
        lock.package = [ { source = "git+https://example.org/x?branch=a%2Fb#1"; } ];
      }
    )
    {
      outputHashes = {
        "git+https://example.org/x?branch=a%2Fb#1" = "";
        "git+https://example.org/x" = "";
      };
    }
    [
      "`outputHashes` names `git+https://example.org/x`, and no crate in Cargo.lock has that `source`; there are `git+https://example.org/x?branch=a/b#1`"
    ]
  )
  (meaning "several mistakes" facts
    {
      bins = [ "x" ];
      profile = "small";
      images.image.bin = "y";
    }
    [
      "`bins` names `x`, which no crate makes; there are `api`, `worker`, `ctl`"
      "`profile` is `small`, which `src` has no section for; there are `dev`, `release`, `dist`"
      "`images.image.bin` names `y`, which no crate makes; there are `api`, `worker`"
    ]
  )
  {
    name = "mkWorkspace: all problems are thrown at once";
    got = (builtins.tryEval (arguments.orThrow [ "a" "b" ] true)).success;
    want = false;
  }
  {
    name = "mkWorkspace: docs/workspaces.md has the table of the arguments; write it anew with nix eval of `table` in arguments.nix";
    got =
      let
        page = builtins.readFile ../../../docs/workspaces.md;
      in
      builtins.replaceStrings [ arguments.table ] [ "" ] page != page;
    want = true;
  }
]
