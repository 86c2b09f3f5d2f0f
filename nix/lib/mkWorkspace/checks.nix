# Checks made from what there is: every package and image has its own, the workspace has cargo's.
{
  lib,
  pkgs,
  craneLib,
  sources,
  built,
  packages,
  images,
  contract,
  hasDeny,
  services,
  testInputs,
  nextestArgs,
}:
let
  running = import ./services.nix { inherit lib pkgs services; };
  imageCheck = import ./image-check.nix { inherit pkgs contract; };
  shared = built.sharedByChecks // {
    cargoArtifacts = built.checkArtifacts;
    src = sources.whole;
    doInstallCargoArtifacts = false;
  };

  rust = {
    rust-clippy = craneLib.cargoClippy (
      shared // { cargoClippyExtraArgs = "--all-targets -- --deny warnings"; }
    );
    rust-doc = craneLib.cargoDoc (
      shared
      // {
        src = sources.documented;
        # Says at once what is wrong in all crates. One crate after another: the search index depends on which comes first.
        cargoDocExtraArgs = "--no-deps --keep-going --jobs 1";
        preBuild = "cargoWithProfile check ${shared.cargoExtraArgs}";
        env = shared.env // {
          RUSTDOCFLAGS = "--deny warnings";
        };
      }
    );
    rust-fmt = craneLib.cargoFmt (removeAttrs shared [ "cargoExtraArgs" ]);
    rust-toml = craneLib.taploFmt (shared // { src = sources.toml; });
    rust-nextest = craneLib.cargoNextest (
      shared
      // {
        src = sources.tested;
        cargoNextestExtraArgs = nextestArgs;
        nativeBuildInputs = shared.nativeBuildInputs ++ running.inputs ++ testInputs;
        preCheck = running.start;
        postCheck = running.stop;
        # Tests listen on the loopback.
        __darwinAllowLocalNetworking = true;
      }
    );
  };

  # Without its file cargo deny would refuse every licence.
  denied = lib.optionalAttrs hasDeny {
    rust-deny = craneLib.cargoDeny (removeAttrs shared [ "cargoExtraArgs" ]);
  };

  prefixed =
    prefix: check: lib.mapAttrs' (name: value: lib.nameValuePair "${prefix}${name}" (check name value));
in
rust
// denied
// prefixed "package-" (_: package: package) packages
// lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux (prefixed "" imageCheck images)
