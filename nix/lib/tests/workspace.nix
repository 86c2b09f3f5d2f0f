# That the reader agrees with cargo is tested by crates/bin/dev/tests/workspaces.rs. Here is what cargo does not say: what a
# crate is built from, and which mistakes are named.
let
  cargo = import ../cargo/workspace.nix;
  views = import ../cargo/view.nix;
  inherit (import ./sample.nix) package read workspace;

  problemsOf = files: (read files).problems;
  same = name: got: want: {
    name = "workspace: ${name}";
    inherit got want;
  };
in
[
  (same "a crate is built from what it names, patched crates and not from what its tests need"
    (cargo.closure workspace [ "crates/app" ])
    [
      "crates/app"
      "crates/base"
      "patches/cfg-if"
    ]
  )
  (same "no manifest" (problemsOf { "x/y" = ""; }) [
    "`src` has no Cargo.toml: give the folder of a Cargo workspace, and `git add` its files, for a flake sees only those"
  ])
  (same "a workspace in a folder below" (problemsOf { "backend/Cargo.toml" = package "x" ""; }) [
    "`src` has no Cargo.toml: set `cargoRoot` to the workspace's folder, such as \"backend\""
  ])
  (same "a misspelt folder of the workspace"
    (map
      (
        at:
        (cargo.read (views.ofSet {
          "backend/Cargo.toml" = package "x" "";
          "frontend/index.html" = "";
        }) at).problems
      )
      [
        "back"
        "frontend"
      ]
    )
    [
      [
        "`src` has no back/Cargo.toml: set `cargoRoot` to the workspace's folder, such as \"backend\""
      ]
      [
        "`src` has no frontend/Cargo.toml: give the folder of a Cargo workspace as `cargoRoot`, and `git add` its files, for a flake sees only those"
      ]
    ]
  )
  (same "workspaces in folders further below"
    (problemsOf {
      "docs/x" = "";
      "rust/tool/Cargo.toml" = package "tool" "";
      "rust/uefi/Cargo.toml" = package "uefi" "";
    })
    [
      "`src` has no Cargo.toml: set `cargoRoot` to the workspace's folder, such as \"rust/tool\" or \"rust/uefi\""
    ]
  )
  (same "a dependency outside of src"
    (problemsOf {
      "Cargo.toml" = package "x" "[dependencies]\ny = { path = \"../y\" }";
      "src/lib.rs" = "";
    })
    [
      "Cargo.toml names `../y`, which is outside of `src`: give `src` the folder that holds both, and `cargoRoot`, the workspace's folder in it"
    ]
  )
  (same "a member and a dependency that are not there"
    (problemsOf {
      "Cargo.toml" = "[workspace]\nmembers = [\"a\", \"b\"]";
      "a/Cargo.toml" = package "a" "[dependencies]\nc = { path = \"../c\" }";
    })
    [
      "`members` in Cargo.toml names `b`, and `b` has no Cargo.toml: mend the path, or `git add` the folder"
      "a/Cargo.toml names `../c`, and `c` has no Cargo.toml: mend the path, or `git add` the folder"
    ]
  )
  (same "two members of one name" (problemsOf {
    "Cargo.toml" = "[workspace]\nmembers = [\"a\", \"b\"]";
    "a/Cargo.toml" = package "x" "";
    "b/Cargo.toml" = package "x" "";
  }) [ "the members `a` and `b` have one name, `x`: give each its own" ])
]
