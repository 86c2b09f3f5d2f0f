# A workspace that several suites look at, as text.
let
  cargo = import ../cargo/workspace.nix;
  views = import ../cargo/view.nix;

  package =
    name: more:
    ''
      [package]
      name = "${name}"
      version = "1.2.3"
      edition = "2021"
    ''
    + more;

  files = {
    "Cargo.toml" = ''
      [workspace]
      members = ["crates/*"]
      resolver = "2"
      [workspace.dependencies]
      base = { path = "crates/base", version = "1.2" }
      serde = "1"
      [patch.crates-io]
      cfg-if = { path = "patches/cfg-if" }
    '';
    "crates/app/Cargo.toml" = package "app" ''
      [dependencies]
      base.workspace = true
      serde = { workspace = true, features = ["derive"] }
      [dev-dependencies]
      kit = { path = "../kit" }
      [features]
      tls = []
      [[bin]]
      name = "app"
      [[bin]]
      name = "admin"
      path = "src/admin.rs"
      required-features = ["tls"]
      [[example]]
      name = "shown"
    '';
    "crates/app/src/main.rs" = "const TEXT: &str = include_str!(\"../../../words/list.txt\");";
    "crates/app/src/admin.rs" =
      "#![doc = include_str!(\"../README.md\")] // reads \"../\" and \"../../nothing\"";
    "crates/app/README.md" = "";
    "crates/app/CHANGELOG.md" = "";
    "crates/app/proto/a.proto" = "";
    "crates/app/examples/shown.rs" = "";
    "crates/app/tests/t.rs" = "const DATA: &str = include_str!(\"../../../data/rows.csv\");";
    "crates/app/.hidden" = "";
    "crates/app/.sqlx/q.json" = "";
    "crates/base/Cargo.toml" =
      package "base" "links = \"z\"\nrust-version = \"1.80\"\n[lib]\ncrate-type = [\"cdylib\"]";
    "crates/base/src/lib.rs" = "";
    "crates/base/build.rs" = "";
    "crates/kit/Cargo.toml" = package "kit" "";
    "crates/kit/src/main.rs" = "";
    "crates/macros/Cargo.toml" = package "macros" ''
      [lib]
      proc-macro = true
      [build-dependencies]
      cc = "1"
    '';
    "crates/macros/src/lib.rs" = "";
    "crates/twin/Cargo.toml" = package "twin" "";
    "crates/twin/src/bin/kit.rs" = "";
    "patches/cfg-if/Cargo.toml" = package "cfg-if" "";
    "patches/cfg-if/src/lib.rs" = "";
    "words/list.txt" = "";
    "data/rows.csv" = "";
  };
  read = files: cargo.read (views.ofSet files) ".";
in
{
  inherit files package read;
  workspace = read files;
}
