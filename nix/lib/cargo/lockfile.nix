# Cargo.lock as its newest version says things. Only builtins.
let
  inherit (builtins) isString map;
  toml = import ./toml.nix;
in
{
  # The first version has the checksums of all crates in a table of its own.
  parse =
    text:
    let
      lock = toml.readPlain "Cargo.lock" text;
      checksums = lock.metadata or { };
      complete =
        entry:
        let
          old = checksums."checksum ${entry.name} ${entry.version} (${entry.source or ""})" or null;
        in
        if isString old && old != "<none>" then { checksum = old; } // entry else entry;
    in
    lock // { package = map complete (lock.package or [ ]); };
}
