# Cargo.lock in older versions.
let
  lockfile = import ../cargo/lockfile.nix;
in
[
  {
    name = "lockfile: the first version has its checksums apart";
    got =
      map (entry: entry.checksum or null)
        (lockfile.parse ''
          [[package]]
          name = "xsv"
          version = "0.13.0"
          [[package]]
          name = "memchr"
          version = "2.0.1"
          source = "registry+x"
          [[package]]
          name = "hub"
          version = "1.0.0"
          source = "git+y"
          [metadata]
          "checksum memchr 2.0.1 (registry+x)" = "c1c6"
          "checksum hub 1.0.0 (git+y)" = "<none>"
        '').package;
    want = [
      null
      "c1c6"
      null
    ];
  }
]
