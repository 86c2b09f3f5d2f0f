# Which files a build reads.
let
  cargo = import ../cargo/workspace.nix;
  code = import ../cargo/code.nix;
  views = import ../cargo/view.nix;
  inherit (import ./sample.nix) files package workspace;

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
  build = lookIn files false;
  test = lookIn files true;
  odd = lookIn oddFiles false;

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
  same = name: got: want: {
    name = "code: ${name}";
    inherit got want;
  };
in
[
  (same "prose, tests and hidden files are left out but where the code names them"
    (build "crates/app").without
    [
      "crates/app/.hidden"
      "crates/app/CHANGELOG.md"
      "crates/app/examples"
      "crates/app/tests"
    ]
  )
  (same "files outside of a crate are found by the literals that lead to them"
    (build "crates/app").outside
    [ "words/list.txt" ]
  )
  (same "tests read what they name" (test "crates/app").outside [
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
  (same "what the root's crate names of a crate inside it is read"
    (lookIn rootFiles false ".").outside
    [
      "part/schema"
      "part/words.txt"
    ]
  )
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
    inherit (build "crates/app") without;
  }) [ "crates/app/examples/shown.rs" ])
]
