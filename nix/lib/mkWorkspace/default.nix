# lib.mkWorkspace: packages, images, checks and a shell for a Cargo workspace.
#
#   mkWorkspace {
#     pkgs                 nixpkgs for the system that the programs run on
#     src                  the workspace's folder, as a path: ./.
#     bins ? all           names of the programs to package
#     images ? { }         { image = { bin, args, healthcheck, ports, env, labels, name, maxMiB }; }
#     extraSources ? [ ]   paths that compiling reads, besides src, build.rs, migrations and templates of each crate
#     testSources ? [ ]    paths that only tests read
#     services ? [ ]       "postgres", "redis": run beside the tests, which find DATABASE_URL and REDIS_URL
#     nativeBuildInputs, buildInputs ? [ ]   tools and libraries of the build; libraries end slim images
#     testInputs, shellInputs ? [ ]          programs for the tests, and for the shell
#     nextestArgs ? ""     more arguments of `cargo nextest run`
#     env ? { }            environment of every cargo call
#     profile ? "release"  cargo's profile for the programs; checks are built in `dev`
#     packageArgs ? _: { } pkgs -> { crate = what is added to its derivation; }
#     auditable ? true     whether programs carry the list of their crates
#     revision, lastModified   what image labels say of the commit
#     source ? `repository` of [workspace.package]
#   }
#   => { packages, images, checks, devShell, cargoArtifacts, version }
#
# `packages` has one entry for each crate that makes programs, `images` those asked for (Linux only), `checks` cargo's
# checks and one for each package and image. The workspace's version is [workspace.package] version.
# All mistakes in the arguments are reported at once, each with its cure.
{ crane, nix2container }:
let
  arguments = import ./arguments.nix;
  cargo = import ../workspace.nix;
  contract = import ../../contract.nix;

  make =
    {
      pkgs,
      src,
      bins ? null,
      images ? { },
      extraSources ? [ ],
      testSources ? [ ],
      services ? [ ],
      nativeBuildInputs ? [ ],
      buildInputs ? [ ],
      testInputs ? [ ],
      shellInputs ? [ ],
      nextestArgs ? "",
      env ? { },
      profile ? "release",
      packageArgs ? _: { },
      auditable ? null,
      revision ? null,
      lastModified ? 0,
      source ? null,
    }@args:
    let
      inherit (pkgs) lib;
      craneLib = crane.mkLib pkgs;
      workspace = cargo.read src;
      inherit (workspace) root;
      version = root.workspace.package.version or root.package.version or null;
      programs = lib.concatMap (crate: crate.bins) (lib.attrValues workspace.crates);

      sources = import ./sources.nix {
        inherit
          lib
          src
          workspace
          cargo
          extraSources
          testSources
          ;
      };

      common = {
        pname = root.workspace.metadata.crane.name or "workspace";
        inherit version nativeBuildInputs buildInputs;
        strictDeps = true;
        env = {
          SQLX_OFFLINE = "true";
        }
        // env;
      };

      built = import ./packages.nix {
        inherit
          lib
          pkgs
          craneLib
          workspace
          cargo
          sources
          common
          ;
        # nixpkgs marks it broken where it cannot be had.
        auditable = if auditable == null then !(pkgs.cargo-auditable.meta.broken or false) else auditable;
        inherit profile;
        wanted = if bins == null then programs else bins;
        extraArgs = packageArgs pkgs;
      };

      made = import ./images.nix {
        inherit
          lib
          pkgs
          contract
          version
          revision
          lastModified
          ;
        source = if source == null then root.workspace.package.repository or null else source;
        nix2container = nix2container.packages.${pkgs.stdenv.buildPlatform.system}.nix2container;
        inherit (built) packages;
        licenses = root.workspace.package.license or null;
        slim = buildInputs == [ ];
      };

      result = {
        inherit version;
        inherit (built) packages cargoArtifacts;
        images = lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux (made.images images);
        checks = import ./checks.nix {
          inherit
            lib
            pkgs
            craneLib
            sources
            built
            contract
            services
            testInputs
            nextestArgs
            ;
          inherit (result) packages images;
          hasDeny = builtins.pathExists (src + "/deny.toml");
        };
        devShell = import ./shell.nix {
          inherit
            lib
            pkgs
            craneLib
            common
            services
            testInputs
            shellInputs
            ;
        };
      };
    in
    arguments.orThrow (arguments.meaningProblems {
      inherit programs version;
      profiles = [
        "dev"
        "release"
      ]
      ++ builtins.attrNames (root.profile or { });
    } args) result;
in
args: arguments.orThrow (arguments.shapeProblems args) (make args)
