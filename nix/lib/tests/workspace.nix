# That the reader agrees with cargo is tested by crates/bin/dev/tests/workspaces.rs. Here is what cargo does not say: what is
# built together, which files a build reads, what stands for code that is not there, and which mistakes are named.
let
  cargo = import ../cargo/workspace.nix;
  code = import ../cargo/code.nix;
  glob = import ../cargo/glob.nix;
  lockfile = import ../cargo/lockfile.nix;
  paths = import ../cargo/paths.nix;
  selections = import ../cargo/selection.nix;
  skeletons = import ../cargo/skeleton.nix;
  toml = import ../cargo/toml.nix;
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
  view = views.ofSet files;
  workspace = cargo.read view ".";
  lookIn =
    files: withTests: folder:
    let
      view = views.ofSet files;
      read = cargo.read view ".";
    in
    code.of {
      inherit view withTests;
      inherit (read) at;
      folders = builtins.attrNames read.crates;
      crate = read.crates.${folder};
    };
  lookAt = lookIn files;
  oddFiles = {
    "Cargo.toml" =
      "[workspace]\nmembers = [\"crates/odd\", \"crates/flat\", \"crates/parts\", \"app/desktop\"]";
    "VERSION" = "";
    "app/desktop/Cargo.toml" = package "desktop" "";
    "app/desktop/src/main.rs" = "";
    "app/desktop/tauri.conf.json" = "{ \"build\": { \"frontendDist\": \"../dist\" } }";
    "app/dist/index.html" = "";
    "crates/flat/schema/a.json" = "";
    "crates/parts/Cargo.toml" = package "parts" "";
    "crates/parts/build.rs" = ''
      let above = Path::new(&env::var("CARGO_MANIFEST_DIR")?).parent()?;
      let files = [above.join("words.json"), above.join("flat").join("schema/a.json")];
      compile_protos("../../proto/a.proto");
      cc::Build::new().file("../../native/src/a.c");
    '';
    "crates/parts/src/lib.rs" = "";
    "crates/words.json" = "";
    "native/src/a.c" = "";
    "native/src/a.h" = "";
    "LICENSE" = "";
    ".git/HEAD" = "";
    "proto/a.proto" = "";
    "web/dist/index.html" = "";
    "crates/shared/main.rs" = "";
    "crates/odd/Cargo.toml" = package "odd" ''
      [[bin]]
      name = "odd"
      path = "../shared/main.rs"
    '';
    "crates/odd/build.rs" =
      "let root = Path::new(\"..\").join(\"..\"); root.join(\"VERSION\"); root.join(\"proto/a.proto\"); \"../../.git/HEAD\"";
    "crates/odd/src/lib.rs" =
      "#[folder = \"$CARGO_MANIFEST_DIR/../../web/dist\"] struct Assets; include_str!(\"OPEN-LICENSE\"); // NOTICE";
    "crates/odd/LICENSE" = "";
    "crates/odd/NOTICE" = "";
    "crates/odd/src/OPEN-LICENSE" = "";
    "crates/odd/src/target/mod.rs" = "";
    "crates/odd/result.rs" = "";
    "crates/odd/result-1/x" = "";
    "crates/odd/target/debug" = "";
    "crates/flat/Cargo.toml" = package "flat" "[lib]\npath = \"lib.rs\"";
    "crates/flat/lib.rs" = "mod tests; mod docs;";
    "crates/flat/tests/mod.rs" = "";
    "crates/flat/docs/mod.rs" = "";
    "crates/flat/README.md" = "";
  };
  rootFiles = {
    "Cargo.toml" = package "top" "[workspace]\nmembers = [\"part\"]";
    "build.rs" = "read(\"part/schema/a.json\")";
    "src/lib.rs" = "include_str!(\"../part/words.txt\")";
    "part/Cargo.toml" = package "part" "";
    "part/src/lib.rs" = "";
    "part/schema/a.json" = "";
    "part/words.txt" = "";
  };
  odd = codeOf oddFiles;
  codeOf = files: lookIn files false;
  select = more: selections.of ({ inherit workspace; } // more);

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

  problemsOf = files: (cargo.read (views.ofSet files) ".").problems;
  same = name: got: want: {
    name = "workspace: ${name}";
    inherit got want;
  };
in
[
  (same "a path is joined" (paths.join "crates/bin/api" "../../lib/./store") "crates/lib/store")
  (same "a path that leads out" (paths.join "crates" "../../x") null)
  (same "an absolute path" (paths.join "crates" "/x") null)
  (same "a folder is within itself and not within its namesake"
    [
      (paths.within "a" "a")
      (paths.within "a" "a/b")
      (paths.within "a" "ab")
    ]
    [ true true false ]
  )
  (same "signs of a pattern"
    (map
      (glob.expand (views.ofSet {
        "xb1.y/f" = "";
        "xb1.yz/f" = "";
        "xd1.y/f" = "";
        "xb1zy/f" = "";
        "deep/.hidden/x/f" = "";
        "x[1]/f" = "";
      }) ".")
      [
        "x[a-c]?.y*"
        "deep/**/x"
        "x[1]"
        "x[^b]1zy"
      ]
    )
    [
      [
        "xb1.y"
        "xb1.yz"
      ]
      [ "deep/.hidden/x" ]
      [ "x[1]" ]
      [ "xb1zy" ]
    ]
  )
  (same "what is written as TOML is read again"
    (fromTOML (
      toml.write {
        text = "a \"b\" \\ \n";
        list = [
          1
          { deep.er = true; }
        ];
        nothing = null;
      }
    ))
    {
      text = "a \"b\" \\ \n";
      list = [
        1
        { deep.er = true; }
      ];
    }
  )

  (same "a crate is built from what it names, patched crates and not from what its tests need"
    (cargo.closure workspace [ "crates/app" ])
    [
      "crates/app"
      "crates/base"
      "patches/cfg-if"
    ]
  )
  (same "prose, tests and hidden files are left out but where the code names them"
    (lookAt false "crates/app").without
    [
      "crates/app/.hidden"
      "crates/app/CHANGELOG.md"
      "crates/app/examples"
      "crates/app/tests"
    ]
  )
  (same "files outside of a crate are found by the literals that lead to them"
    (lookAt false "crates/app").outside
    [ "words/list.txt" ]
  )
  (same "tests read what they name" (lookAt true "crates/app").outside [
    "data/rows.csv"
    "words/list.txt"
  ])
  (same "what a build script and a macro put together is read" (odd "crates/odd").outside [
    "VERSION"
    "crates/shared"
    "crates/shared/main.rs"
    "proto"
    "web/dist"
  ])
  (same "a build script reads what it names of the folders above, and of other crates' folders"
    (odd "crates/parts").outside
    [
      "crates/flat/schema"
      "crates/words.json"
      "native"
      "native/src/a.c"
      "proto"
      "proto/a.proto"
    ]
  )
  (same "what the root's crate names of a crate inside it is read" (codeOf rootFiles ".").outside [
    "part/schema"
    "part/words.txt"
  ])
  (same "what the settings of macros name is read" (odd "app/desktop").outside [ "app/dist" ])
  (same
    "names that cargo and Nix make are modules elsewhere, and prose is read where a literal ends with its name"
    (odd "crates/odd").without
    [
      "crates/odd/LICENSE"
      "crates/odd/NOTICE"
      "crates/odd/result-1"
      "crates/odd/target"
    ]
  )
  (same "beside a main file any folder may be a module" (odd "crates/flat").without [
    "crates/flat/README.md"
  ])
  (same "a declared target whose file is left out gets a stub" (code.stubsOf {
    crate = workspace.crates."crates/app";
    inherit ((lookAt false "crates/app")) without;
  }) [ "crates/app/examples/shown.rs" ])

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
  (same "an edit of code, a comment or a new program changes no stand-in" (skeletons.whole (cargo.read
    (views.ofSet (
      files
      // {
        "crates/app/Cargo.toml" = "# A comment.\n" + files."crates/app/Cargo.toml";
        "crates/app/src/main.rs" = "fn main() {}";
        "crates/app/src/bin/new.rs" = "fn main() {}";
      }
    ))
    "."
  ) lock) skeleton)

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

  (same "a lock of the first version has its checksums apart"
    (map (entry: entry.checksum or null)
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
      '').package
    )
    [
      null
      "c1c6"
      null
    ]
  )

  (same "no manifest" (problemsOf { "x/y" = ""; }) [
    "`src` has no Cargo.toml: give the folder of a Cargo workspace, and `git add` its files, for a flake sees only those"
  ])
  (same "a workspace in a folder below" (problemsOf { "backend/Cargo.toml" = package "x" ""; }) [
    "`src` has no Cargo.toml: set `cargoRoot` to the workspace's folder, such as \"backend\""
  ])
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
