# What stands for code that is not there.
let
  skeletons = import ../cargo/skeleton.nix;
  inherit (import ./sample.nix) files read workspace;

  lock = ''
    version = 4
    [[package]]
    name = "app"
    version = "1.2.3"
    dependencies = ["base", "serde"]
    [[package]]
    name = "serde"
    version = "1.0.0"
    source = "registry+x"
  '';
  skeleton = skeletons.whole workspace lock;
  manifest = folder: fromTOML skeleton."${folder}/Cargo.toml";
  standIn = folder: fromTOML (skeletons.some workspace [ folder ])."${folder}/Cargo.toml";
  same = name: got: want: {
    name = "skeleton: ${name}";
    inherit got want;
  };
in
[
  (same "a stand-in says nothing of code, builds or versions" (manifest "crates/base") {
    package = {
      name = "base";
      version = "0.0.0";
      edition = "2021";
      build = false;
      autobins = false;
      autoexamples = false;
      autotests = false;
      autobenches = false;
      rust-version = "1.80";
    };
    lib = {
      name = "skeleton_base";
      path = "skeleton.rs";
      crate-type = [ "cdylib" ];
    };
  })
  (same "a stand-in of macros is one"
    [
      (manifest "crates/macros").lib.proc-macro
      (manifest "crates/macros").package.build
    ]
    [ true "skeleton-build.rs" ]
  )
  (same "the stand-in of the root keeps what is resolved"
    (builtins.attrNames (fromTOML skeleton."Cargo.toml").workspace)
    [
      "dependencies"
      "members"
      "resolver"
    ]
  )
  (same "no version of a path dependency stays"
    (fromTOML skeleton."Cargo.toml").workspace.dependencies.base
    {
      path = "crates/base";
    }
  )
  (same "the lock names members without their version"
    (map (entry: entry.version) (fromTOML skeleton."Cargo.lock").package)
    [
      "0.0.0"
      "1.0.0"
    ]
  )
  (same "a patched crate keeps its version" (manifest "patches/cfg-if").package.version "1.2.3")
  (same "a patched crate that a registry's crate is compiled from is no stand-in"
    (
      let
        made = skeletons.whole workspace (lock + "dependencies = [\"cfg-if 1.2.3\"]");
      in
      [
        (made ? "patches/cfg-if/Cargo.toml")
        (fromTOML made."crates/base/Cargo.toml").package.version
      ]
    )
    [
      false
      "1.2.3"
    ]
  )
  (same "beside code, a stand-in has its version" (standIn "crates/base").package.version "1.2.3")
  (same "a lock that tells crates apart by version stays as it is" (skeletons.isPlain workspace {
    package = [ { dependencies = [ "app 1.2.3" ]; } ];
  }) false)
  (same "an edit of code, a comment or a new program changes no stand-in" (skeletons.whole (read (
    files
    // {
      "crates/app/Cargo.toml" = "# A comment.\n" + files."crates/app/Cargo.toml";
      "crates/app/src/main.rs" = "fn main() {}";
      "crates/app/src/bin/new.rs" = "fn main() {}";
    }
  )) lock) skeleton)
]
