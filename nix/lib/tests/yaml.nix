let
  yaml = import ../yaml.nix;
  case = name: value: want: {
    name = "yaml: ${name}";
    got = yaml.document value;
    inherit want;
  };
in
[
  (case "scalars" {
    bool = true;
    number = 8000;
    nothing = null;
    text = "plain";
  } "bool: true\nnothing: null\nnumber: 8000\ntext: plain\n")
  (case "texts that YAML would read as something else"
    {
      a = "on";
      b = "8000";
      c = "0440";
      d = "null";
      e = "";
      f = "a: b";
      g = "# x";
      h = "1e3";
      i = "~";
    }
    ''
      a: "on"
      b: "8000"
      c: "0440"
      d: "null"
      e: ""
      f: "a: b"
      g: "# x"
      h: "1e3"
      i: "~"
    ''
  )
  (case "a key that YAML would read as a truth" { on = 1; } "\"on\": 1\n")
  (case "nothing in it" {
    a = [ ];
    b = { };
  } "a: []\nb: {}\n")
  (case "lists of sets" {
    a = [
      {
        x = 1;
        y = [ "z" ];
      }
      { x = 2; }
    ];
  } "a:\n  - x: 1\n    \"y\":\n      - z\n  - x: 2\n")
  (case "a block of lines" { a = "one\n\ntwo\n"; } "a: |\n  one\n\n  two\n")
  (case "lines that begin with a space" { a = " one\ntwo\n"; } "a: \" one\\ntwo\\n\"\n")
  {
    name = "yaml: documents";
    got = yaml.documents [
      { a = 1; }
      { b = 2; }
    ];
    want = "a: 1\n---\nb: 2\n";
  }
]
