# Nix reads what cargo does. That cargo takes these is shown by tests/workspaces/read-toml-new and `cargo metadata`.
let
  toml = import ../cargo/toml.nix;
  case = name: text: want: {
    name = "toml: ${name}";
    got = toml.read "Cargo.toml" text;
    inherit want;
  };
in
[
  {
    name = "toml: what is written is read again";
    got = fromTOML (
      toml.write {
        text = "a \"b\" \\ \n";
        list = [
          1
          { deep.er = true; }
        ];
        nothing = null;
      }
    );
    want = {
      text = "a \"b\" \\ \n";
      list = [
        1
        { deep.er = true; }
      ];
    };
  }
  (case "inline tables over lines, with comments and a last comma"
    ''
      x = {
        a = 1, # } , "
        b = [ 1,
          2,
          # c
        ],
        c = { d = 'x}\', },
      }
      y = {
      }
      z = [ { a = 1 },
        { b = 2 }, ]
    ''
    {
      x = {
        a = 1;
        b = [
          1
          2
        ];
        c.d = "x}\\";
      };
      y = { };
      z = [
        { a = 1; }
        { b = 2; }
      ];
    }
  )
  (case "escapes, in texts that have them"
    "a = \"\\x41 \\\\x \\\" {\"\nb = '\\e\\x'\nc = '''\n{ \\x ,\n''''\nd = \"\"\"\\\n  a \"\"q\"\" \\x41\"\"\"\"\n\"\" = \"\"\ne=''\n"
    {
      "" = "";
      a = "A \\x \" {";
      b = "\\e\\x";
      c = "{ \\x ,\n'";
      d = "a \"\"q\"\" A\"";
      e = "";
    }
  )
  (case "dates and times are texts, and names that look so stay"
    ''
      a = 2020-01-01 10:20:30.5+01:00 # x
      b = [ 2020-01-01, 10:20 ]
      c = {d = 2020-01-01T10:10Z , e = 10:20:30}
      2020-01-01 = 1
      [x.2020-01-01]
      [2021-01-01]
      k = "2020-01-01"
      q = """"""
    ''
    {
      a = "2020-01-01 10:20:30.5+01:00";
      b = [
        "2020-01-01"
        "10:20"
      ];
      c = {
        d = "2020-01-01T10:10Z";
        e = "10:20:30";
      };
      "2020-01-01" = 1;
      x."2020-01-01" = { };
      "2021-01-01" = {
        k = "2020-01-01";
        q = "";
      };
    }
  )
  (case "ends of lines as Windows writes them"
    "a = 1 # it's {\r\nb = { c = 1,\r\n }\r\n[x]\r\ny = [ # '\r\n 1,\r\n]\r\n"
    {
      a = 1;
      b.c = 1;
      x.y = [ 1 ];
    }
  )
  (case "names that look like dates stay, in headings and before quotes"
    ''
      2024-01-01."x" = 1
      a = { 2024-01-01.'y' = 2, d = 2024-01-01 }
      [2024-01-01.a]
      b = [ { 2024-01-01 . "z" = 3 }, 2024-01-01, ]
      [[2024-01-01."b"]]
      "c" = [ 07:32 ]
    ''
    {
      "2024-01-01" = {
        x = 1;
        a.b = [
          { "2024-01-01".z = 3; }
          "2024-01-01"
        ];
        b = [ { c = [ "07:32" ]; } ];
      };
      a = {
        "2024-01-01".y = 2;
        d = "2024-01-01";
      };
    }
  )
  (case "texts that hold quotes alone" "a = \"\"\"\"\"\"\"\nb = { c = '''''''',\n}\nd = { e = 1,\n}\n"
    {
      a = "\"";
      b.c = "''";
      d.e = 1;
    }
  )
  (case "a long comment"
    "a = [ 1, # ${
      builtins.concatStringsSep "" (builtins.genList (_: "x") 100000)
    }\n2 ]\nb = 2024-01-01\n"
    {
      a = [
        1
        2
      ];
      b = "2024-01-01";
    }
  )
]
