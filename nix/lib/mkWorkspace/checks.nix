# Checks made from what there is: every package and image has its own, the workspace has cargo's.
{
  lib,
  pkgs,
  craneLib,
  sources,
  selection,
  built,
  images,
  fmtArgs,
  hasDeny,
  hasTaplo,
  services,
  testInputs,
  nextestArgs,
  clippyArgs,
}:
let
  running = import ./services.nix { inherit lib pkgs services; };
  imageCheck = import ./image-check.nix { inherit lib pkgs; };
  # What is built for another kind of machine is not run here.
  canRun = pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;

  shared =
    built.sharedByChecks
    // sources.whole
    // {
      doInstallCargoArtifacts = false;
      preBuild = built.compileServices.start;
      postBuild = built.compileServices.stop;
      nativeBuildInputs = built.sharedByChecks.nativeBuildInputs ++ built.compileServices.inputs;
    };
  # Formatters compile nothing and need no dependency.
  formatting = removeAttrs shared [
    "preBuild"
    "postBuild"
  ];

  # A cargo call for each set of crates that is compiled together.
  each = allFlags: command: lib.concatMapStrings (flags: command flags + "\n") allFlags;
  cargo =
    suffix: args:
    craneLib.mkCargoDerivation (
      shared
      // {
        cargoArtifacts = built.checkArtifacts;
        pnameSuffix = "-${suffix}";
      }
      // args
    );

  # Compiled in one phase, with what compiling needs beside it, and run in the next, with what tests need.
  tests =
    suffix: allFlags: compile: run:
    cargo suffix (
      sources.tested
      // {
        doCheck = true;
        buildPhaseCargoCommand = each allFlags compile;
        checkPhaseCargoCommand = each allFlags run;
        nativeBuildInputs =
          shared.nativeBuildInputs ++ running.inputs ++ testInputs ++ [ pkgs.buildPackages.cargo-nextest ];
        preCheck = running.start;
        postCheck = running.stop;
        # Tests listen on the loopback.
        __darwinAllowLocalNetworking = true;
      }
    );

  # A workspace without tests is no mistake.
  nextest =
    flags: "cargo nextest run --no-tests=pass --cargo-profile $CARGO_PROFILE --locked ${flags}";

  rust = {
    rust-clippy = cargo "clippy" {
      buildPhaseCargoCommand = each selection.lintFlags (
        flags: "cargoWithProfile clippy --locked ${flags} -- ${clippyArgs}"
      );
      nativeBuildInputs = shared.nativeBuildInputs ++ [ (built.tool "clippy") ];
    };
    rust-doc = cargo "doc" (
      sources.documented
      // {
        # Says at once what is wrong in all crates. One crate after another: the search index depends on which comes first.
        buildPhaseCargoCommand = each selection.checkFlags (
          flags:
          "cargoWithProfile check --locked ${flags}\n"
          + "cargoWithProfile doc --locked ${flags} --no-deps --keep-going --jobs 1"
        );
        installPhaseCommand = ''
          mkdir -p $out/share
          cp -r "''${CARGO_TARGET_DIR:-target}"/''${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}doc $out/share/doc
        '';
        # `env` may say otherwise.
        env = {
          RUSTDOCFLAGS = "--deny warnings";
        }
        // shared.env;
      }
    );
    rust-fmt = craneLib.cargoFmt (formatting // { cargoExtraArgs = fmtArgs; });
  }
  # Without its file cargo deny would refuse every licence, and taplo would have its own taste.
  // lib.optionalAttrs hasDeny { rust-deny = craneLib.cargoDeny formatting; }
  // lib.optionalAttrs hasTaplo { rust-toml = craneLib.taploFmt (formatting // sources.toml); }
  // lib.optionalAttrs canRun (
    {
      rust-nextest = tests "nextest" selection.checkFlags (flags: "${nextest flags} --no-run") (
        flags: "${nextest flags} ${nextestArgs}"
      );
    }
    // lib.optionalAttrs (selection.docTestFlags != [ ]) {
      # cargo compiles such tests when it runs them, and only what they are linked with before.
      rust-doctest = tests "doctest" selection.docTestFlags (
        flags: "cargoWithProfile build --lib --locked ${flags}"
      ) (flags: "cargoWithProfile test --doc --locked ${flags}");
    }
  );

  prefixed =
    prefix: check: lib.mapAttrs' (name: value: lib.nameValuePair "${prefix}${name}" (check name value));
in
rust
// prefixed "package-" (_: package: package) built.packages
// lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux (prefixed "" imageCheck images)
