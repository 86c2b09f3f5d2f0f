# Configurations of other programs as the modules write them, compared with copies that were reviewed. A change that is
# meant is written into snapshots/ as snapshots/default.nix says. `./dev test` gives the same copies to those programs
# (crates/bin/dev/tests/generated).
{
  host,
  stack,
  standIn,
  lib,
  ...
}:
let
  texts = import ./snapshots/texts.nix {
    inherit
      host
      stack
      standIn
      lib
      ;
  };
  relative = file: lib.removePrefix "./" (lib.path.removePrefix ./snapshots file);
  committed = lib.filter (name: !lib.hasSuffix ".nix" name) (
    map relative (lib.filesystem.listFilesRecursive ./snapshots)
  );
  known = lib.attrNames texts;
  lines = lib.splitString "\n";
  # The first line that differs says more than two whole files.
  difference =
    name:
    let
      got = lines texts.${name};
      want = lines (builtins.readFile (./snapshots + "/${name}"));
      pairs = lib.zipListsWith (a: b: { inherit a b; }) (got ++ [ "(end)" ]) (want ++ [ "(end)" ]);
      first = lib.findFirst (pair: pair.a != pair.b) null pairs;
    in
    if first == null then "same" else "${first.a} instead of ${first.b}";
in
[
  {
    name = "every snapshot has a text, and every text a snapshot";
    got = {
      stray = lib.subtractLists known committed;
      missing = lib.subtractLists committed known;
    };
    want = {
      stray = [ ];
      missing = [ ];
    };
  }
]
++ map (name: {
  name = "${name} as reviewed";
  got = difference name;
  want = "same";
}) (lib.intersectLists committed known)
