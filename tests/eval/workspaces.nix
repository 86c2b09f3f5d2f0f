# Every project of tests/workspaces as mkWorkspace takes it: refused with the argument and the cure, or evaluated whole.
# `nix build` of them is for a machine of one's own: the line `# build` in each case.nix names what of it (`w`) shows its
# point. crates/bin/dev/tests/workspaces.rs compares how they are read with cargo.
{
  pkgs,
  mkWorkspace,
  workspaceProblems,
  ...
}:
let
  inherit (pkgs) lib;
  root = ../workspaces;
  names = lib.filter (name: lib.pathExists (root + "/${name}/case.nix")) (
    lib.attrNames (lib.filterAttrs (_: type: type == "directory") (builtins.readDir root))
  );

  argsOf = name: { inherit pkgs; } // import (root + "/${name}/case.nix") (args: args);
  problemsOf = name: workspaceProblems (argsOf name);
  made = lib.genAttrs names (name: mkWorkspace (argsOf name));

  # name -> what the mistake must name.
  refused = {
    alt-registry = "`registry[+]https://corp[.]example/index`.*set `craneLib";
    args-unknown = "`packageArgs` names `apii`.*`api`";
    extra-missing = "`extraSources` names `.*nothing`.*git add";
    image-name-package-check = ".*`images[.]rust-fmt`.*check.*";
    img-named-pkg = ".*`images[.]api`.*package.*";
    no-lock = ".*no Cargo.lock: run `cargo generate-lockfile`, and `git add` it.*";
    src-string = "`src` is the text .*: give a folder.*";
  };
  accepted = lib.subtractLists (lib.attrNames refused) names;

  whole = name: {
    name = "workspaces: ${name} is built";
    got =
      problemsOf name == [ ]
      && lib.all (output: lib.isString output.drvPath) (
        lib.attrValues made.${name}.packages
        ++ lib.attrValues (lib.filterAttrs (check: _: lib.hasPrefix "rust-" check) made.${name}.checks)
      );
    want = true;
  };
  mistake = name: {
    name = "workspaces: ${name} is refused in one sentence that names the argument";
    got = map (problem: builtins.match ".*${refused.${name}}.*" problem != null) (problemsOf name);
    want = [ true ];
  };

  programs = name: lib.mapAttrs (_: package: package.crate.bins) made.${name}.packages;
  same = name: got: want: {
    name = "workspaces: ${name}";
    inherit got want;
  };
  # A page's block as a file; one that is a part of a set gets the rest around it.
  block =
    page: number: opening:
    builtins.toFile "snippet.nix" (
      opening + (lib.elemAt (pages.blocks page) number).text + lib.optionalString (opening != "") "}"
    );
  pages = import ./pages.nix { inherit lib; };
  environment = name: made.${name}.packages.api.drvAttrs;
  # The files of tests/workspaces/secret-files that a source must not hold.
  secretsOf =
    source:
    lib.filter (file: builtins.pathExists "${source}/${file}") [
      ".cargo/credentials.toml"
      ".env"
      "api/.cargo/credentials"
      "api/.env"
      "api/.env.local"
      "api/.envrc"
      "api/config/.env"
      "api/config/.env.production"
      "data/.env"
    ];
in
map whole accepted
++ map mistake (lib.attrNames refused)
++ [
  (same "img-tmp: the check of an image runs nothing that its name holds" (lib.hasInfix "$(x)" (
    lib.replaceStrings [ "'a$(x)'" ] [ "" ]
      (mkWorkspace (argsOf "img-tmp" // { images."a$(x)".bin = "api"; }))
      .checks."a$(x)".drvAttrs.buildCommand
  )) false)
  (same "a program with a path of its own is no second one" (programs "bin-path-in-srcbin") {
    api = [ "api-ctl" ];
  })
  (same "a renamed program" (programs "bin-renamed-main") { api-crate = [ "api" ]; })
  (same "an old edition finds no programs by itself" (programs "ed2015-autobins") {
    api = [ "api" ];
  })
  (same "a program behind a feature is left out" (programs "required-features") { api = [ "api" ]; })
  (same "features that crates turn on in each other" (programs "read-features-of-others") {
    a = [ "a" ];
    b = [ "b" ];
    c = [
      "c-chain"
      "c-optional"
      "c-renamed"
    ];
    d = [
      "d-one"
      "d-three"
    ];
  })
  (same "mistakes of kind and of meaning are told in one round"
    (workspaceProblems (
      argsOf "no-version"
      // {
        bins = [ "apii" ];
        crates = "api";
        packageArgs = _: { api = [ ]; };
      }
    ))
    [
      "`crates` is the text `api`: give a list of names of crates, \"all\" for every member, or null for those that `cargo build` builds"
      "`bins` names `apii`, which no crate makes; there are `api`"
      "`packageArgs.api` is an empty list: give a set such as `{ nativeBuildInputs = [ pkgs.protobuf ]; }`"
    ]
  )
  (same "programs of one name are built apart" (programs "same-bin") {
    a = [ "serve" ];
    b = [ "serve" ];
  })
  (same "a library that others load is a package" (lib.attrNames made.cdylib.packages) [
    "api"
    "ffi"
  ])
  (same "libraries have checks and no package" (lib.attrNames made.lib-only.packages) [ ])
  (same "a package has its crate's version" made.crate-version.packages.api.version "1.4.0")
  (same "a workspace without a version" made.no-version.packages.api.version "0.1.0")
  (same "environment of one package is added to that of all"
    [
      (environment "args-env").FOO
      (environment "args-env").SQLX_OFFLINE
      (environment "args-env").CARGO_PROFILE
    ]
    [ "1" "true" "dist" ]
  )
  (same "one version for all"
    (mkWorkspace (argsOf "crate-version" // { version = "9.0.0"; })).packages.api.version
    "9.0.0"
  )
  (same "a new version compiles no dependency again"
    (mkWorkspace (argsOf "crate-version" // { version = "9.0.0"; })).cargoArtifacts.drvPath
    made.crate-version.cargoArtifacts.drvPath
  )
  (same "a toolchain of one's own compiles" (
    let
      other = pkgs.writeShellScriptBin "cargo" "";
      package = (mkWorkspace (argsOf "no-version" // { toolchain = _: other; })).packages.api;
    in
    lib.elem other package.drvAttrs.nativeBuildInputs
  ) true)
  (same "whose sources of std the shell takes, or none"
    (map (more: (mkWorkspace (argsOf "no-version" // more)).devShell.drvAttrs ? RUST_SRC_PATH) [
      { }
      { toolchain = p: p.writeShellScriptBin "rustc" ""; }
    ])
    [
      true
      false
    ]
  )
  (same "what rustdoc warns of is refused, unless the environment says otherwise"
    (map (more: (mkWorkspace (argsOf "lib-only" // more)).checks.rust-doc.drvAttrs.RUSTDOCFLAGS) [
      { }
      { env.RUSTDOCFLAGS = "--cfg docsrs"; }
    ])
    [
      "--deny warnings"
      "--cfg docsrs"
    ]
  )
  # cargo refuses `--doc` with `--no-run`.
  (same "only tests of their own are compiled apart from their run"
    (map (check: lib.hasInfix "--no-run" made.lib-only.checks.${check}.drvAttrs.buildPhase) [
      "rust-nextest"
      "rust-doctest"
    ])
    [
      true
      false
    ]
  )
  (same "benches that need nightly are not linted, and others are"
    (lib.findFirst (lib.hasInfix "cargoWithProfile clippy") null (
      lib.splitString "\n" made.bench-nightly.checks.rust-clippy.drvAttrs.buildPhase
    ))
    "cargoWithProfile clippy --locked --workspace --lib --bins --examples --tests --bench plain -- --deny warnings"
  )
  (same "programs that cargo's configuration names can be started"
    (map (made: lib.hasInfix "source/tools/wrapper.sh" made.drvAttrs.postUnpack) [
      made.config-named-files.cargoArtifacts
      made.config-named-files.packages.api
    ])
    [
      true
      true
    ]
  )
  (same "dependencies are compiled with what cargo's configuration names, and with what was asked for"
    (map
      (
        file:
        map (made: builtins.pathExists "${made.src}/${file}") [
          made.config-named-files.cargoArtifacts
          made.config-named-files.packages.api
        ]
      )
      [
        "settings/more.toml"
        "tools/common.sh"
        "data/other.txt"
      ]
    )
    [
      [
        true
        true
      ]
      [
        true
        true
      ]
      [
        false
        false
      ]
    ]
  )
  (same "no build reads what is excluded, dependencies' neither"
    (
      let
        excluding = mkWorkspace (
          argsOf "config-named-files" // { exclude = [ (root + "/config-named-files/data/words.txt") ]; }
        );
      in
      map (made: builtins.pathExists "${made.src}/data/words.txt") [
        made.config-named-files.cargoArtifacts
        excluding.cargoArtifacts
        excluding.packages.api
      ]
    )
    [
      true
      false
      false
    ]
  )
  (same "no build reads files with passwords and tokens, though the code names them"
    (map (made: secretsOf made.src) [
      made.secret-files.packages.api
      made.secret-files.cargoArtifacts
      made.secret-files.checks.rust-nextest
    ])
    [
      [ ]
      [ ]
      [ ]
    ]
  )
  (same "where an argument names the very file it is read" (secretsOf
    (mkWorkspace (
      argsOf "secret-files"
      // {
        extraSources = [
          (root + "/secret-files/api/config")
          (root + "/secret-files/api/.env")
        ];
      }
    )).packages.api.src
  ) [ "api/.env" ])
  (same "an example of such a file is no secret"
    (builtins.pathExists "${made.secret-files.packages.api.src}/api/config/.env.example")
    true
  )
  (same "a filtered source is read through its filter" (
    let
      src = lib.cleanSourceWith {
        src = root + "/auto-member";
        filter = path: _: baseNameOf path != "lib.rs";
      };
      package = (mkWorkspace { inherit pkgs src; }).packages.api;
    in
    builtins.pathExists "${package.src}/inner/Cargo.toml"
    && !builtins.pathExists "${package.src}/inner/src/lib.rs"
  ) true)
  (same "a folder of a flake's input" ((mkWorkspace {
    inherit pkgs;
    src.outPath = root;
    cargoRoot = "auto-member";
  }).packages.api.sourceRoot
  ) "source/auto-member")
  (same "descriptions of queries are read under their old name"
    (builtins.pathExists "${made.old-sqlx.packages.api.src}/sqlx-data.json")
    true
  )
  (same "files of other crates are read"
    [
      (builtins.pathExists "${made.other-crates-files.packages.top.src}/part/words.txt")
      (builtins.pathExists "${made.other-crates-files.packages.tool.src}/crates/names.txt")
      (builtins.pathExists "${made.other-crates-files.packages.tool.src}/part/src")
    ]
    [ true true false ]
  )
  # What the pages show.
  (same "docs/workspaces.md: its flake evaluates"
    (lib.attrNames (
      (import (block ../../docs/workspaces.md 0 "")).outputs {
        self = { };
        nixpkgs.legacyPackages.x86_64-linux = pkgs;
        slipway.lib.mkWorkspace = args: mkWorkspace (args // { src = root + "/single-license"; });
      }
    ))
    [
      "checks"
      "devShells"
      "packages"
    ]
  )
  (same "docs/workspaces.md: needs of one crate are taken"
    (mkWorkspace (argsOf "no-version" // import (block ../../docs/workspaces.md 1 "{")))
    .packages.api.drvAttrs.BUILD_LABEL
    "release"
  )
  (same "docs/build.md: contents of an image evaluate" (lib.length
    (import (block ../../docs/build.md 0 "pkgs: {") pkgs).contents
  ) 5)
]
