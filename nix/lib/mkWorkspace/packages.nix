# The programs: one derivation a crate, all on the same compiled dependencies.
{
  lib,
  pkgs,
  craneLib,
  workspace,
  cargo,
  sources,
  common,
  auditable,
  profile,
  wanted,
  extraArgs,
}:
let
  cargoVendorDir = craneLib.vendorCargoDeps { src = sources.whole; };

  # `--workspace` also when one program is built: features are those of the whole workspace then, and the compiled
  # dependencies fit every program and every check.
  shared = common // {
    inherit cargoVendorDir;
    cargoExtraArgs = "--locked --workspace";
  };

  # What programs are linked with, once for all of them.
  cargoArtifacts = craneLib.buildDepsOnly (
    shared
    // {
      src = sources.whole;
      env = shared.env // {
        CARGO_PROFILE = profile;
      };
      buildPhaseCargoCommand = "cargoWithProfile build ${shared.cargoExtraArgs}";
      doCheck = false;
    }
  );

  # Lints and tests are built in `dev`: with overflow checks, and without optimising every test program at its link.
  sharedByChecks = shared // {
    env = shared.env // {
      CARGO_PROFILE = "dev";
    };
  };

  # What they stand on, once for all of them.
  checkArtifacts = craneLib.buildDepsOnly (
    sharedByChecks
    // {
      pname = "${common.pname}-checks";
      src = sources.whole;
      buildPhaseCargoCommand = "cargoWithProfile check ${shared.cargoExtraArgs} --all-targets";
    }
  );

  isWanted = crate: lib.any (bin: lib.elem bin wanted) crate.bins;

  build =
    crate:
    let
      bins = lib.intersectLists wanted crate.bins;
      flags = lib.concatMapStringsSep " " (bin: "--bin ${lib.escapeShellArg bin}") bins;
      more = extraArgs.${crate.name} or { };
    in
    craneLib.buildPackage (
      shared
      // {
        inherit cargoArtifacts;
        pname = crate.name;
        src = sources.program crate;
        env = shared.env // {
          CARGO_PROFILE = profile;
        };
        cargoBuildCommand =
          if auditable then "cargo auditable build --profile ${profile}" else "cargoWithProfile build";
        cargoBuildExtraArgs = flags;
        # Tests are a check of their own, with what they need running beside them.
        doCheck = false;
        # Panic messages hold paths; crane takes them out, and this says so if it ever fails to.
        disallowedReferences = [
          pkgs.cargo
          pkgs.rustc
          pkgs.rustc.unwrapped
          cargoVendorDir
        ];
        passthru = {
          inherit crate;
        };
        meta = {
          mainProgram = if lib.elem crate.name bins then crate.name else lib.head bins;
          description = cargo.field "description" workspace.root crate.manifest;
          platforms = lib.platforms.unix;
        };
      }
      // more
      // {
        postPatch = sources.stubsFor crate + more.postPatch or "";
        nativeBuildInputs =
          shared.nativeBuildInputs
          ++ lib.optional auditable pkgs.cargo-auditable
          ++ more.nativeBuildInputs or [ ];
      }
    );
in
{
  inherit
    cargoArtifacts
    checkArtifacts
    cargoVendorDir
    shared
    sharedByChecks
    ;
  packages = lib.mapAttrs (_: build) (lib.filterAttrs (_: isWanted) workspace.crates);
}
