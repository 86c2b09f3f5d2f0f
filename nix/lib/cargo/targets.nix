# The targets of a crate as cargo finds them: library, programs, examples, tests, benches and the build script.
# The rules are those of "Cargo Targets" in the Cargo Book and of cargo's own src/cargo/util/toml/targets.rs; a test compares
# them with `cargo metadata`. Only builtins.
let
  inherit (builtins)
    any
    attrNames
    concatMap
    elem
    filter
    head
    isList
    isString
    match
    replaceStrings
    ;
  paths = import ./paths.nix;
  inherit (import ../lists.nix) optional;

  stem = name: match "([^.].*)[.]rs" name;

  # Files and folders that stand for targets without being declared.
  inferredIn =
    view: folder: below:
    let
      inside = paths.join folder below;
      entries = view.entries inside;
    in
    concatMap (
      name:
      if stem name != null && entries.${name} != "directory" then
        [
          {
            name = head (stem name);
            path = "${below}/${name}";
          }
        ]
      else if match "[^.].*" name != null && view.isFile "${inside}/${name}/main.rs" then
        [
          {
            inherit name;
            path = "${below}/${name}/main.rs";
          }
        ]
      else
        [ ]
    ) (attrNames entries);

  # A path as cargo compares it: without "./" and doubled slashes.
  plain = path: builtins.concatStringsSep "/" (paths.segments path);
in
{
  # `edition` is its own or the inherited one. => { lib, bins, examples, tests, benches, build }, each target { name, path }
  # with what the manifest says of it; `lib` is null when there is none, and `build` are the files of build scripts. Paths are
  # seen from the crate.
  of =
    {
      view,
      folder,
      manifest,
      edition,
    }:
    let
      inherit (manifest) package;
      has = file: view.isFile (paths.join folder file);
      oldEdition = edition == "2015";

      merge =
        {
          declared,
          inferred,
          auto,
          candidates,
        }:
        let
          located =
            target:
            target
            // {
              path =
                if target ? path then
                  plain target.path
                else
                  let
                    known = filter (found: found.name == target.name) inferred;
                  in
                  if known != [ ] then
                    (head known).path
                  else
                    head (filter has (candidates target.name) ++ candidates target.name);
            };
          names = map (target: target.name) declared;
          takenPaths = map (target: plain target.path) (filter (target: target ? path) declared);
          rest = filter (found: !elem found.name names && !elem found.path takenPaths) inferred;
          isOn = if auto != null then auto else declared == [ ] || !oldEdition;
        in
        map located declared ++ (if isOn then rest else [ ]);

      inferredBins =
        optional (has "src/main.rs") {
          inherit (package) name;
          path = "src/main.rs";
        }
        ++ inferredIn view folder "src/bin";

      others =
        section: auto: below:
        merge {
          declared = manifest.${section} or [ ];
          inferred = inferredIn view folder below;
          auto = package.${auto} or null;
          candidates = name: [
            "${below}/${name}.rs"
            "${below}/${name}/main.rs"
          ];
        };

      libPath = plain (manifest.lib.path or "src/lib.rs");
      buildPath = package.build or null;
    in
    {
      lib =
        if manifest ? lib || (package.autolib or true && has "src/lib.rs") then
          {
            name = replaceStrings [ "-" ] [ "_" ] package.name;
          }
          // manifest.lib or { }
          // {
            path = libPath;
          }
        else
          null;
      bins = merge {
        declared = manifest.bin or [ ];
        inferred = inferredBins;
        auto = package.autobins or null;
        candidates =
          name:
          optional (name == package.name) "src/main.rs"
          ++ [
            "src/bin/${name}.rs"
            "src/bin/${name}/main.rs"
          ]
          # Of the edition of 2015.
          ++ [
            "src/${name}.rs"
            "src/bin/main.rs"
          ];
      };
      examples = others "example" "autoexamples" "examples";
      tests = others "test" "autotests" "tests";
      benches = others "bench" "autobenches" "benches";
      build =
        if isString buildPath || isList buildPath then
          map plain (if isList buildPath then buildPath else [ buildPath ])
        else
          optional (buildPath != false && (has "build.rs" || buildPath == true)) "build.rs";
    };

  # The kinds of library that the crate makes, as in Cargo.toml.
  crateTypes =
    lib:
    if lib == null then
      [ ]
    else if lib.proc-macro or lib.proc_macro or false then
      [ "proc-macro" ]
    else
      lib.crate-type or lib.crate_type or [ "lib" ];

  # Whether something that another program loads comes of it.
  isLoaded =
    types:
    any (
      type:
      elem type [
        "cdylib"
        "staticlib"
        "dylib"
      ]
    ) types;
}
