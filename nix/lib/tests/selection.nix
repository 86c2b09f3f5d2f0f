# What is built together, and with which features.
let
  cargo = import ../cargo/workspace.nix;
  selections = import ../cargo/selection.nix;
  views = import ../cargo/view.nix;
  inherit (import ./sample.nix) package workspace;

  select = more: selections.of ({ inherit workspace; } // more);
  same = name: got: want: {
    name = "selection: ${name}";
    inherit got want;
  };
in
[
  (same "programs that need a feature are left out without it" (select { }).builds.app.programs [
    "app"
  ])
  (same "and built with it" (select { features = [ "tls" ]; }).builds.app.programs [
    "app"
    "admin"
  ])
  (same "and with it for this crate" (select { features = [ "app/tls" ]; }).builds.app.flags
    "--workspace --features app/tls"
  )
  (same "what a program lacks" (select { }).lacking.admin [ "tls" ])
  (same "two crates with one program are built apart"
    (map (name: (select { }).builds.${name}.flags) [
      "kit"
      "twin"
    ])
    [
      "--package kit"
      "--package twin"
    ]
  )
  (same "a library that others load is built apart" (select { }).builds.base.targets "--lib")
  (same "crates whose features must not be united"
    (select { unifyFeatures = false; }).builds.app.flags
    "--package app"
  )
  (same "some crates"
    (select {
      crates = [
        "app"
        "kit"
      ];
    }).flags
    "--package app --package kit"
  )
  (same "a crate that was not chosen is there, with its own features"
    (select { crates = [ "app" ]; }).builds.kit.flags
    "--package kit"
  )
  (same "what a crate of another workspace inherits turns features on" (
    let
      view = views.ofSet {
        "Cargo.toml" =
          "[workspace]\nmembers = []\n[workspace.dependencies]\napp = { path = \"w/app\", features = [\"x\"] }";
        "out/Cargo.toml" = package "out" "[dependencies]\napp.workspace = true";
        "out/src/lib.rs" = "";
        "w/Cargo.toml" = "[workspace]\nmembers = [\"app\", \"user\"]";
        "w/app/Cargo.toml" =
          package "app" "[features]\nx = []\n[[bin]]\nname = \"app\"\nrequired-features = [\"x\"]";
        "w/app/src/main.rs" = "";
        "w/user/Cargo.toml" = package "user" "[dependencies]\nout = { path = \"../../out\" }";
        "w/user/src/lib.rs" = "";
      };
    in
    (selections.of { workspace = cargo.read view "w"; }).builds.app.programs or null
  ) [ "app" ])
  (same "features of no crate"
    (select {
      features = [
        "tls"
        "tsl"
        "app/no"
        "app/default"
      ];
    }).unknownFeatures
    [
      "tsl"
      "app/no"
    ]
  )
]
