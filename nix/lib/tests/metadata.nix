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
    ++ (
      if targets.build == null then
        [ ]
      else
        [
          {
            kind = "custom-build";
            path = targets.build;
            name = "build-script";
            required = [ ];
          }
        ]
    );

  show =
    folder:
    let
      found = cargo.read (view.ofFolder folder) ".";
    in
    if found.problems != [ ] then
      { inherit (found) problems; }
    else
      {
        problems = [ ];
        inherit (found) members defaults;
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
