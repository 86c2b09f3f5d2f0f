# What cargo's configuration names. tests/workspaces/config-… show that cargo reads it so.
let
  config = import ../cargo/config.nix;
  views = import ../cargo/view.nix;

  view = views.ofSet {
    "w/Cargo.toml" = "";
    "w/api/Cargo.toml" = "";
    "w/target.json" = "";
    "w/tools/cc" = "";
    "w/tools/run.sh" = "";
    "w/link/a.x" = "";
    "w/link/b.x" = "";
    "w/lib/native/a.a" = "";
    "w/data/a" = "";
    "w/data/b" = "";
    "w/out/x" = "";
    "w/crates/foo/Cargo.toml" = "";
    "registry/foo.crate" = "";
    "settings/more.toml" = "[build]\nrustc-wrapper = \"w/tools/cc\"\n";
    "w/.cargo/config.toml" = ''
      include = ["../../settings/more.toml", { path = "absent.toml", optional = true }]
      [alias]
      b = "data"
      [build]
      target = ["target.json", "x86_64-unknown-linux-gnu"]
      target-dir = "out"
      [target.'cfg(unix)']
      runner = ["sh", "tools/run.sh"]
      rustflags = "-C link-arg=-Tlink/a.x -Clink-arg=link/b.x -L native=lib/native"
      [env]
      A = { value = "data/a", relative = true }
      B = "data/b"
      ROOT = { value = "", relative = true }
      API = { value = "api", relative = true }
      [source.crates-io]
      replace-with = "first"
      [source.first]
      replace-with = "second"
      [source.second]
      local-registry = "../registry"
      [source.own]
      registry = "sparse+https://corp.example/"
      replace-with = "second"
      [source.hub]
      git = "https://example.org/hub"
      tag = "v1"
      replace-with = "held"
      [source.held]
      directory = "crates"
      [source.mirror]
      registry = "https://mirror.example/"
      replace-with = "other-mirror"
      [source.other-mirror]
      registry = "https://other.example/"
    '';
    ".cargo/config.toml" = "[target.x]\nlinker = \"w/tools/cc\"\n";
    ".cargo/config" = "";
  };
  configs = config.read view "w";
  case = name: got: want: {
    name = "config: ${name}";
    inherit got want;
  };
in
[
  (case "each folder's, the old name first, and what is included" (map (it: it.file) configs) [
    "w/.cargo/config.toml"
    ".cargo/config"
    "settings/more.toml"
  ])
  (case "what it names, and no folder of a crate, no output and no alias"
    (config.named {
      inherit configs view;
      at = "w";
      folders = [ "w/api" ];
    })
    [
      ".cargo/config"
      "registry"
      "settings/more.toml"
      "w/.cargo/config.toml"
      "w/crates"
      "w/data/a"
      "w/lib/native"
      "w/link/a.x"
      "w/link/b.x"
      "w/target.json"
      "w/tools/cc"
      "w/tools/run.sh"
    ]
  )
  (case "crates that the repository holds in the place of others"
    (map (source: config.isHeld configs { inherit source; }) [
      "registry+https://github.com/rust-lang/crates.io-index"
      "sparse+https://corp.example/"
      "git+https://example.org/hub?tag=v1#0123"
      "git+https://example.org/hub?tag=v2#0123"
      "git+https://example.org/hub#0123"
      "registry+https://mirror.example/"
    ])
    [
      true
      true
      true
      false
      false
      false
    ]
  )
]
