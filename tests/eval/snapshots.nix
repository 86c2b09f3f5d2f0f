# Configurations of other programs as the modules write them, compared with copies that were reviewed. A change that is
# meant is written into snapshots/ as snapshots/default.nix says.
{
  host,
  stack,
  lib,
  ...
}:
let
  texts = import ./snapshots/texts.nix { inherit host stack lib; };
  committed = lib.filter (lib.hasSuffix ".conf") (lib.attrNames (builtins.readDir ./snapshots));
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
    name = "every snapshot has a text";
    got = committed;
    want = lib.attrNames texts;
  }
]
++ map (name: {
  name = "${name} as reviewed";
  got = difference name;
  want = "same";
}) committed
