# `src` as a path, whatever it was given as: a path, a flake input, a filtered source, or a derivation.
{ lib, src }:
let
  filtered = src._isLibCleanSourceWith or false;
  origin = if filtered then src.origSrc else src;
  # Reading a derivation builds it; what is there then is a path like any other.
  path =
    if builtins.isPath origin then
      origin
    else
      builtins.seq (builtins.readDir "${origin}") (/. + builtins.unsafeDiscardStringContext "${origin}");
in
{
  inherit path;
  # Keeps of a fileset what the filter keeps.
  limit =
    fileset:
    if filtered then lib.fileset.intersection (lib.fileset.fromSource src) fileset else fileset;
}
