# The programs: one derivation a crate, all that are compiled together on the same compiled dependencies.
{
  lib,
  pkgs,
  craneLib,
  selection,
  sources,
  common,
  cargoVendorDir,
  auditable,
  profile,
  compileServices,
  toolchainReferences,
  extraArgs,
}:
let
  # crane's scope has the compiler only when a toolchain was given.
  tool = name: craneLib.${name} or pkgs.buildPackages.${name};

  inProfile =
    profile:
    common
    // {
      inherit cargoVendorDir;
      env = common.env // {
        CARGO_PROFILE = profile;
      };
    };
  shared = inProfile profile;
  # Lints and tests are built in `dev`: with overflow checks, and without optimising every test program at its link.
  sharedByChecks = inProfile "dev";

  # Of no version, for the name of a derivation is part of it: a release compiles no dependency again.
  onlyDependencies = {
    version = "0.0.0";
    dummySrc = sources.skeleton.src;
    inherit (sources.skeleton) postUnpack sourceRoot;
    # What the hook of cures names.
    slipwaySources = "dependencySources";
  };

  # What programs are linked with, once for all that are compiled with the same flags.
  dependencies =
    pname: flags:
    craneLib.buildDepsOnly (
      shared
      // onlyDependencies
      // {
        inherit pname;
        buildPhaseCargoCommand = "cargoWithProfile build --locked ${flags}";
        doCheck = false;
      }
    );
  cargoArtifacts = dependencies common.pname selection.flags;

  # What they stand on, once for all of them.
  checkArtifacts = craneLib.buildDepsOnly (
    sharedByChecks
    // onlyDependencies
    // {
      pname = "${common.pname}-checks";
      cargoExtraArgs = "--locked ${selection.flags}";
      buildPhaseCargoCommand = "cargoWithProfile check --locked ${selection.flags} --all-targets";
    }
  );

  compiler = lib.unique (
    lib.filter (it: it != null) [
      (tool "cargo")
      (tool "rustc")
      ((tool "rustc").unwrapped or null)
    ]
  );

  build =
    {
      crate,
      programs,
      alone,
      flags,
      targets,
      ...
    }:
    let
      more = extraArgs.${crate.name} or { };
      found = sources.program [ crate.folder ];
      joined = name: shared.${name} ++ more.${name} or [ ];
      mainProgram =
        crate.manifest.package.default-run
          or (if lib.elem crate.name programs then crate.name else lib.head programs);
    in
    craneLib.buildPackage (
      shared
      // {
        pname = crate.name;
        inherit (crate) version;
        inherit (found) src sourceRoot;
        cargoArtifacts = if alone then dependencies crate.name flags else cargoArtifacts;
        cargoExtraArgs = "--locked ${flags}";
        cargoBuildCommand =
          if auditable then "cargo auditable build --profile ${profile}" else "cargoWithProfile build";
        cargoBuildExtraArgs = targets;
        # Tests are a check of their own, with what they need running beside them.
        doCheck = false;
        # Panic messages hold paths; crane takes them out, and this says so if it ever fails to.
        disallowedReferences = [ cargoVendorDir ] ++ lib.optionals (!toolchainReferences) compiler;
        slipwayCompiler = lib.optionals (!toolchainReferences) (map toString compiler);
      }
      // removeAttrs more [
        "env"
        "passthru"
        "meta"
      ]
      // {
        env = shared.env // more.env or { };
        passthru = {
          crate = {
            inherit (crate)
              description
              folder
              license
              name
              repository
              version
              ;
            bins = programs;
          };
        }
        // more.passthru or { };
        meta = {
          inherit (crate) description;
          platforms = lib.platforms.unix;
        }
        // lib.optionalAttrs (programs != [ ]) {
          mainProgram = if lib.elem mainProgram programs then mainProgram else lib.head programs;
        }
        // more.meta or { };
        postUnpack = found.postUnpack + more.postUnpack or "";
        preBuild = compileServices.start + more.preBuild or "";
        postBuild = compileServices.stop + more.postBuild or "";
        nativeBuildInputs =
          joined "nativeBuildInputs"
          ++ compileServices.inputs
          ++ lib.optional auditable pkgs.buildPackages.cargo-auditable;
        buildInputs = joined "buildInputs";
      }
    );
in
{
  inherit
    cargoArtifacts
    checkArtifacts
    compileServices
    sharedByChecks
    tool
    ;
  packages = lib.mapAttrs (_: build) selection.builds;
}
