# lib.mkWorkspace: packages, images, checks and a shell for any Cargo project. docs/build.md says what each argument does;
# arguments.nix says what it must be, and meanings.nix what it may say.
#
# => {
#   packages         by name of crate: each that makes programs, or a library that other languages load
#   images           those asked for (Linux only)
#   checks           cargo's, and one for each package and image
#   devShell
#   cargoArtifacts   the compiled dependencies
#   version          that of the workspace, or of its root crate; null when it has none
# }
#
# All mistakes in the arguments are reported at once, each with its cure.
{ crane, nix2container }:
let
  arguments = import ./arguments.nix;
  cargo = import ../cargo/workspace.nix;
  configuration = import ../cargo/config.nix;
  contract = import ../../contract.nix;
  lockfile = import ../cargo/lockfile.nix;
  meaningProblems = import ./meanings.nix;
  paths = import ../cargo/paths.nix;
  selections = import ../cargo/selection.nix;
  toml = import ../cargo/toml.nix;
  views = import ../cargo/view.nix;

  make =
    {
      pkgs,
      src,
      cargoRoot ? ".",
      cargoLock ? null,
      cargoVendorDir ? null,
      dependencySources ? [ ],
      crates ? null,
      bins ? null,
      features ? [ ],
      noDefaultFeatures ? false,
      unifyFeatures ? true,
      toolchain ? null,
      craneLib ? null,
      outputHashes ? { },
      images ? { },
      exclude ? [ ],
      extraSources ? [ ],
      testSources ? [ ],
      services ? [ ],
      compileServices ? [ ],
      compileSetup ? "",
      nativeBuildInputs ? [ ],
      buildInputs ? [ ],
      testInputs ? [ ],
      shellInputs ? [ ],
      nextestArgs ? "",
      clippyArgs ? "--deny warnings",
      env ? { },
      profile ? "release",
      packageArgs ? _: { },
      auditable ? null,
      toolchainReferences ? false,
      version ? null,
      revision ? null,
      lastModified ? 0,
      source ? null,
    }@args:
    let
      inherit (pkgs) lib;

      crane' =
        let
          plain = crane.mkLib pkgs;
          withToolchain = if toolchain == null then plain else plain.overrideToolchain toolchain;
        in
        if craneLib == null then
          withToolchain
        else if lib.isFunction craneLib then
          craneLib withToolchain
        else
          craneLib;

      # Where it can be known: a toolchain may come without.
      rustVersion =
        let
          version = lib.getVersion (crane'.rustc or pkgs.buildPackages.rustc);
        in
        if builtins.match "[0-9]+[.][0-9].*" version == null then null else version;

      source' = import ./source.nix { inherit lib src; };
      view = views.ofFolder source'.path;
      at = paths.join "." cargoRoot;
      workspace = cargo.read view at;
      inherit (workspace) root;

      lockPath = paths.join at "Cargo.lock";
      hasLock = cargoLock != null || view.isFile lockPath;
      lockText = if cargoLock == null then view.read lockPath else lib.readFile cargoLock;
      lock = lockfile.parse lockText;
      # Without the crates that the repository holds.
      fetched = lock // {
        package = lib.filter (entry: !configuration.isHeld workspace.configs entry) lock.package;
      };

      selection =
        let
          selected = selections.of {
            inherit
              bins
              crates
              features
              noDefaultFeatures
              unifyFeatures
              workspace
              ;
            inherit (sources) needsNightly;
            lockNames = map (entry: entry.name) (lib.filter (entry: entry ? source) lock.package);
          };
        in
        # cargo knows crates by the versions that they have, whatever packages are called.
        selected
        // lib.optionalAttrs (version != null) {
          builds = lib.mapAttrs (
            _: build:
            build
            // {
              crate = build.crate // {
                inherit version;
              };
            }
          ) selected.builds;
        };
      extraArgs = if lib.isFunction packageArgs then packageArgs pkgs else packageArgs;

      sources = import ./sources.nix {
        inherit
          cargoLock
          dependencySources
          exclude
          extraSources
          lib
          lock
          lockText
          pkgs
          testSources
          view
          workspace
          ;
        source = source';
      };

      # What git says while evaluating names neither the crate nor what helps, and cannot be caught.
      gitErrors =
        packages: checkout:
        let
          inherit (lib.head packages) name source;
          told = builtins.addErrorContext (arguments.notFetched name source);
        in
        told (checkout // { outPath = told checkout.outPath; });

      compiling = import ./services.nix {
        inherit lib;
        pkgs = pkgs.buildPackages;
        services = compileServices;
      };

      rootCrate = workspace.crates.${at} or null;
      ownVersion =
        if version != null then
          version
        else if rootCrate != null then
          rootCrate.version
        else
          root.workspace.package.version or null;

      common = {
        pname = root.workspace.metadata.crane.name or rootCrate.name or "workspace";
        version = if ownVersion == null then "0.0.0" else ownVersion;
        inherit buildInputs;
        nativeBuildInputs = nativeBuildInputs ++ [
          (pkgs.buildPackages.makeSetupHook { name = "mkworkspace-cures"; } ./cures.sh)
        ];
        strictDeps = true;
        env = lib.optionalAttrs (!lib.elem "postgres" compileServices) { SQLX_OFFLINE = "true"; } // env;
      };

      built = import ./packages.nix {
        inherit
          common
          extraArgs
          lib
          pkgs
          profile
          selection
          sources
          toolchainReferences
          ;
        craneLib = crane';
        cargoVendorDir =
          if cargoVendorDir != null then
            cargoVendorDir
          else
            crane'.vendorMultipleCargoDeps {
              # Read here, for crane would not read all that cargo does.
              cargoConfigs = map (
                config: builtins.toFile "config.toml" (toml.write { registries = config.tables.registries or { }; })
              ) workspace.configs;
              cargoLockParsedList = [ fetched ];
              outputHashes = lib.mapAttrs' (
                source: lib.nameValuePair (configuration.decoded source)
              ) outputHashes;
              overrideVendorGitCheckout = gitErrors;
            };
        compileServices = {
          inherit (compiling) inputs stop;
          start = lib.optionalString (compileServices != [ ]) compiling.start + compileSetup;
        };
        # nixpkgs marks it broken where it cannot be had.
        auditable =
          if auditable == null then !(pkgs.buildPackages.cargo-auditable.meta.broken or false) else auditable;
      };

      made = import ./images.nix {
        inherit
          contract
          lastModified
          lib
          pkgs
          revision
          source
          ;
        nix2container = import ../nix2container {
          inherit nix2container;
          inherit (pkgs.stdenv.buildPlatform) system;
        };
        inherit (built) packages;
      };

      checksWith =
        images:
        import ./checks.nix {
          inherit
            built
            clippyArgs
            lib
            nextestArgs
            pkgs
            selection
            services
            sources
            testInputs
            ;
          craneLib = crane';
          inherit images;
          fmtArgs =
            if crates == null then
              ""
            else if crates == "all" then
              "--all"
            else
              lib.concatMapStringsSep " " (name: "--package ${lib.escapeShellArg name}") crates;
          hasDeny = view.isFile (paths.join at "deny.toml");
          hasTaplo = lib.any (name: view.isFile (paths.join at name)) [
            ".taplo.toml"
            "taplo.toml"
          ];
        };

      result = {
        version = ownVersion;
        inherit (built) packages cargoArtifacts;
        images = lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux (made.images images);
        checks = checksWith result.images;
        devShell = import ./shell.nix {
          inherit
            common
            lib
            pkgs
            services
            shellInputs
            testInputs
            ;
          craneLib = crane';
        };
      };

      # What is wrong with the files comes first: without them the rest cannot be judged.
      problems =
        let
          ofFiles =
            workspace.problems
            ++ lib.optional (!hasLock && view.isFile (paths.join at "Cargo.toml")) (arguments.noLock lockPath);
        in
        if ofFiles != [ ] then
          ofFiles
        else
          meaningProblems {
            base = source'.path;
            inherit rustVersion selection;
            lock = fetched;
            compiled = map (folder: workspace.crates.${folder}) selection.chosen;
            packageArgs = extraArgs;
            packageNames = lib.attrNames selection.builds;
            checkNames = lib.attrNames (checksWith { });
            registries = crane'.crateRegistries;
            profiles = [
              "dev"
              "release"
            ]
            ++ lib.attrNames (root.profile or { });
          } args;
    in
    {
      inherit problems result;
    };
in
rec {
  mkWorkspace = args: arguments.orThrow (workspaceProblems args) (make args).result;

  # The mistakes alone, for tests: what is thrown cannot be looked at.
  workspaceProblems =
    args:
    let
      sound = arguments.sound args;
    in
    arguments.shapeProblems args ++ (if sound == null then [ ] else (make sound).problems);
}
