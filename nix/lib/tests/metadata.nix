# What the reader makes of each workspace below tests/workspaces, in the words of `cargo metadata`, for a test that compares the
# two: `all`, name -> { packages, members, defaults, problems }, and `show FOLDER` of one.
let
  inherit (builtins)
    attrNames
    attrValues
    listToAttrs
    map
    readDir
    ;
  cargo = import ../cargo/workspace.nix;
  configuration = import ../cargo/config.nix;
  paths = import ../cargo/paths.nix;
  skeletons = import ../cargo/skeleton.nix;
  view = import ../cargo/view.nix;
  root = ../../../tests/workspaces;

  target = kind: it: {
    inherit kind;
    inherit (it) name path;
    required = it.required-features or [ ];
  };
  targetsOf =
    crate:
    let
      inherit (crate) targets;
    in
    (if targets.lib == null then [ ] else map (type: target type targets.lib) crate.crateTypes)
    ++ map (target "bin") targets.bins
    ++ map (target "example") targets.examples
    ++ map (target "test") targets.tests
    ++ map (target "bench") targets.benches
    ++ map (path: {
      kind = "custom-build";
      name = "build-script";
      inherit path;
      required = [ ];
    }) targets.build;

  # The workspace is at the top, or in the folder `w` beside what it needs.
  show =
    folder:
    let
      files = view.ofFolder folder;
      at = if files.isFile "Cargo.toml" then "." else "w";
      lock = paths.join at "Cargo.lock";
      found = cargo.read files at;
    in
    if found.problems != [ ] then
      { inherit (found) problems; }
    else
      {
        problems = [ ];
        inherit at;
        inherit (found) defaults members otherRoots;
        named = configuration.named {
          view = files;
          inherit (found) at configs;
          folders = attrNames found.crates;
        };
        # What dependencies are compiled from.
        skeleton = if files.isFile lock then skeletons.whole found (files.read lock) else { };
        packages = map (crate: {
          inherit (crate)
            edition
            folder
            name
            version
            ;
          targets = targetsOf crate;
        }) (attrValues found.crates);
      };
in
{
  inherit show;
  all = listToAttrs (
    map (name: {
      inherit name;
      value = show (root + "/${name}");
    }) (attrNames (readDir root))
  );
}
