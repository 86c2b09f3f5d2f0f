let
  arguments = import ../mkWorkspace/arguments.nix;
  meaningProblems = import ../mkWorkspace/meanings.nix;
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
      featureNames = [ "tls" ];
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
    got = meaningProblems facts (good // args);
    inherit want;
  };
in
[
  (shape "nothing wrong" good [ ])
  (shape "no pkgs" { src = ./.; } [
    "`pkgs` is missing: give a nixpkgs package set, such as `nixpkgs.legacyPackages.x86_64-linux`"
  ])
  (shape "src as text" (good // { src = "/x"; }) [
    "`src` is the text `/x`: give a folder such as `./.`, a flake's input, or a filtered source; a text cannot be filtered"
  ])
  (shape "src as a flake's input" (good // { src.outPath = "/x"; }) [ ])
  (shape "a folder that leads out of src" (good // { cargoRoot = "a/../.."; }) [
    "`cargoRoot` is the text `a/../..`: give the folder of the workspace's Cargo.toml below `src` as text, such as \"backend\""
  ])
  {
    name = "mkWorkspace: a misspelt argument is named, with those there are";
    got =
      builtins.match "`binz` is not known here; there are .*`bins`.*" (
        builtins.head (arguments.shapeProblems (good // { binz = [ ]; }))
      ) != null;
    want = true;
  }
  (shape "kinds in the words of the pages"
    (
      good
      // {
        profile = null;
        version = 1;
        bins = true;
        source = _: "";
        clippyArgs = {
          type = "derivation";
          name = "clippy-1";
        };
        compileSetup = "a script\n";
        features = "two\nlines";
        crates = [ ];
      }
    )
    [
      "`bins` is true: give a list of the names of programs, or null for all"
      "`clippyArgs` is the package `clippy-1`: give text: what clippy is given after `--`, such as \"--deny warnings\""
      "`crates` is an empty list: give a list of names of crates, \"all\" for every member, or null for those that `cargo build` builds"
      "`features` is a text: give a list of features, such as [ \"tls\" \"api/metrics\" ]"
      "`profile` is null: give the name of the cargo profile that programs are built in, such as \"release\""
      "`source` is a function: give the repository's address as text, or null"
      "`version` is the number `1`: give the version of programs and images as text, or null for that of each crate"
    ]
  )
  (shape "the item that is wrong"
    (
      good
      // {
        buildInputs = [
          null
          ./.
          "openssl"
        ];
        env = {
          HOST = "localhost";
          PORT = 80;
        };
      }
    )
    [
      "`buildInputs` holds the text `openssl`: give a list of libraries to link with, such as `[ pkgs.openssl ]`"
      "`env` holds the number `80` as `PORT`: give a set of texts: the environment of every cargo call"
    ]
  )
  (shape "files that are not there"
    (
      good
      // {
        cargoLock = ./nothing;
        src = ./none;
      }
    )
    [
      "`cargoLock` names `${toString ./nothing}`, which is not there: mend the path, or `git add` it, for a flake sees only such files"
      "`src` names `${toString ./none}`, which is not there: mend the path, or `git add` it, for a flake sees only such files"
    ]
  )
  (shape "src as a file" (good // { src = ./arguments.nix; }) [
    "`src` is the path `${toString ./arguments.nix}`: give a folder such as `./.`, a flake's input, or a filtered source; a text cannot be filtered"
  ])
  {
    name = "mkWorkspace: what is right is judged beside mistakes of kind, unless the workspace is read by them";
    got =
      map (more: arguments.sound (good // more)) [
        {
          bins = [ "api" ];
          crates = "api";
          binz = [ ];
        }
        { cargoRoot = 1; }
        { cargoLock = ./nothing; }
      ]
      ++ [ (arguments.sound { src = ./.; }) ];
    want = [
      (good // { bins = [ "api" ]; })
      null
      null
      null
    ];
  }
  (shape "an unknown service" (good // { services = [ "mysql" ]; }) [
    "`services` holds the text `mysql`: give a list out of `postgres` and `redis`, which run beside the tests"
  ])
  (meaning "nothing wrong with the meaning" facts {
    bins = [ "api" ];
    images.image.bin = "api";
  } [ ])
  (meaning "a compiler that is too old" (facts // { rustVersion = "1.94.1"; }) { } [
    "Rust 1.95 is needed by `api`, and the compiler is 1.94.1: set `toolchain`, such as `p: p.rust-bin.stable.latest.default` of rust-overlay"
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
  ) { } [ "`features` names `tsl`, which no crate has; there are `tls`" ])
  (meaning "arguments of a package that is not there" (facts // { packageArgs.apii = { }; }) { } [
    "`packageArgs` names `apii`, which is no crate that makes a package; there are `api`, `worker`"
  ])
  (meaning "arguments of packages that are no set" (facts // { packageArgs = [ ]; }) { } [
    "`packageArgs` gives an empty list: give a set by name of crate"
  ])
  (meaning "arguments of packages that are of the wrong kind"
    (
      facts
      // {
        packageArgs = {
          api = {
            env = [ ];
            nativeBuildInputs = [ "protobuf" ];
            features = [ "tls" ];
            postInstall = "";
          };
          worker = _: { };
        };
      }
    )
    { }
    [
      "`packageArgs.api.env` is an empty list: give a set: the environment of this crate's cargo calls"
      "`packageArgs.api.nativeBuildInputs` holds the text `protobuf`: give a list of packages that run while building, such as `[ pkgs.pkg-config ]`"
      "`packageArgs.api.features` is an argument for all crates: set `features` beside `packageArgs`"
      "`packageArgs.worker` is a function: give a set such as `{ nativeBuildInputs = [ pkgs.protobuf ]; }`"
    ]
  )
  (meaning "a folder to leave out that is a text, and one that is not there" facts {
    exclude = [
      "frontend"
      ./frontend
    ];
  } [ "`exclude` holds the text `frontend`: give a path without quotes, such as `./templates`" ])
  (meaning "sources that are no paths" facts { extraSources = [ "proto" ]; } [
    "`extraSources` holds the text `proto`: give a path without quotes, such as `./templates`"
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
