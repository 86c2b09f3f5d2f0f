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

  # What programs are linked with, and nothing else: who builds a program waits for no test library.
  cargoArtifacts = craneLib.buildDepsOnly (
    shared
    // {
      src = sources.whole;
      buildPhaseCargoCommand = "cargoWithProfile build ${shared.cargoExtraArgs}";
      doCheck = false;
    }
  );

  # Put on top of them for the checks: the same seen by lints, and what only tests need.
  checkArtifacts =
    (craneLib.buildDepsOnly (
      shared
      // {
        pname = "${common.pname}-checks";
        src = sources.whole;
        buildPhaseCargoCommand = ''
          cargoWithProfile check ${shared.cargoExtraArgs} --all-targets
          cargoWithProfile test ${shared.cargoExtraArgs} --no-run
        '';
        doCheck = false;
      }
    )).overrideAttrs
      { inherit cargoArtifacts; };

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
        cargoBuildCommand =
          if auditable then "cargo auditable build --release" else "cargoWithProfile build";
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
    ;
  packages = lib.mapAttrs (_: build) (lib.filterAttrs (_: isWanted) workspace.crates);
}
