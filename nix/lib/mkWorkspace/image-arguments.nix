# What an image of mkWorkspace takes, and what is wrong with what it was given. Only builtins.
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    filter
    head
    isAttrs
    isBool
    isInt
    isList
    isString
    length
    map
    match
    ;
  inherit (import ./problems.nix)
    described
    isId
    list
    listOf
    orNull
    quote
    shape
    textSet
    when
    ;
  contentProblems = import ./image-contents-arguments.nix;
  oci = import ../oci.nix;
  inherit (import ../lists.nix) unique;

  # name -> what it must be, in words, and the check of it.
  known = {
    bin = {
      is = "the name of a program";
      check = isString;
    };
    bins = listOf isString // {
      is = "a list of names of programs, of which the first is started";
    };
    crate = {
      is = "the name of the crate that makes the program, where several make one of that name";
      check = isString;
    };
    entrypoint = listOf isString // {
      is = "a list of texts: the name of a program of the image or the path of another, and what it is started with";
      check = value: (listOf isString).check value && value != [ ];
    };
    args = listOf isString // {
      is = "a list of texts: what the program is started with";
    };
    healthcheck = orNull (listOf isString) // {
      is = "a list of texts: what the program is started with to ask whether it works, or null";
    };
    ports = {
      is = "a list of TCP ports as numbers and others as text, such as `[ 8000 \"53/udp\" ]`";
      check = isList;
    };
    env = textSet // {
      is = "a set of texts; secrets come at run time, as files";
    };
    labels = textSet // {
      is = "a set of texts";
    };
    name = {
      is = "the image's name in the registry, such as \"ghcr.io/acme/api\"";
      check = isString;
    };
    tag = {
      is = "the image's tag, such as \"1.0.0\"";
      check = isString;
    };
    user = {
      is = "who the program runs as: a set such as `{ uid = 1000; gid = 1000; name = \"app\"; }`";
      check = isAttrs;
    };
    workingDir = {
      is = "the folder that the program starts in, such as \"/data\"";
      check = isString;
    };
    stopSignal = {
      is = "the signal that ends the program, such as \"SIGINT\"";
      check = isString;
    };
    contents = {
      is = "a list of packages, folders, and sets such as `{ path = \"/etc/app.toml\"; source = ./app.toml; }`";
      check = isList;
    };
    tmp = {
      is = "true or false: whether there is a /tmp, which everybody may write to";
      check = isBool;
    };
    allow = listOf isString // {
      is = "a list of names of shells and package managers that the check lets pass";
    };
    maxMiB = {
      is = "a number: the check fails when the unpacked image is larger; or null";
      check = value: value == null || isInt value && value > 0;
    };
  };

  knownOfUser = {
    uid = {
      is = "a number from 0 to 4294967294";
      check = isId;
    };
    gid = {
      is = "a number from 0 to 4294967294";
      check = isId;
    };
    name = {
      is = "a text such as \"app\"";
      check = value: isString value && match "[a-z_][a-z0-9_-]{0,31}" value != null;
    };
  };

  problemsOf =
    {
      # By name of program, the crates that make one, and the features that one lacks.
      makers,
      lacking,
      # The names of those that are packaged, or null for all.
      bins,
    }:
    name: image:
    let
      at = argument: quote "images.${name}.${argument}";
      # What is wrong with the value of an argument that has the right kind.
      of =
        argument: found:
        if image ? ${argument} && known.${argument}.check image.${argument} then
          found image.${argument}
        else
          [ ];
      programs = of "bin" (bin: [ bin ]) ++ of "bins" (bins: bins);
      crate = image.crate or null;

      ofProgram =
        argument: program:
        let
          crates = makers.${program} or [ ];
          names = "${at argument} names ${quote program}";
        in
        if crates == [ ] && lacking ? ${program} then
          [ "${names}, which needs the features ${list lacking.${program}}: set `features` to them" ]
        else if crates == [ ] then
          [ "${names}, which no crate makes; there are ${list (attrNames makers)}" ]
        else if bins != null && !elem program bins then
          [ "${names}, which `bins` leaves out: add it there" ]
        else
          when (
            length crates > 1 && !elem crate crates
          ) "${names}, which ${list crates} make: set ${at "crate"} to one of them";
    in
    shape "images.${name}." known [ ] image
    ++ when (!image ? bin && !image ? bins) "${at "bin"} is missing: give the name of a program"
    ++
      when (image ? bin && image ? bins)
        "${quote "images.${name}"} has `bin` and `bins`: give `bins` all of the programs, the one to start first"
    ++ of "bin" (ofProgram "bin")
    ++ of "bins" (
      names:
      when (names == [ ]) "${at "bins"} is empty: give the names of programs"
      ++ concatMap (ofProgram "bins") (unique names)
      ++ map (name: "${at "bins"} names ${quote name} twice: name it once") (
        filter (name: length (filter (other: other == name) names) > 1) (unique names)
      )
    )
    ++ of "crate" (
      crate:
      when (
        !builtins.any (program: elem crate (makers.${program} or [ ])) programs
      ) "${at "crate"} is ${quote crate}, which makes no program of the image"
    )
    ++ of "entrypoint" (
      entrypoint:
      when (!elem (head entrypoint) programs && match "/.*" (head entrypoint) == null)
        "${at "entrypoint"} starts ${quote (head entrypoint)}, which is none of its programs: name one of them, or a path such as \"/bin/NAME\" of what `contents` brings"
    )
    ++ of "ports" (
      ports:
      map (
        port:
        "${at "ports"} holds ${described port}: give a TCP port from 1 to 65535 as a number, or text such as \"53/udp\""
      ) (filter (port: !oci.isPort port) ports)
    )
    ++ of "env" (
      env:
      map (
        variable:
        "${at "env"} holds ${quote variable}, which cannot be a variable's name: a name has no `=` in it"
      ) (filter (variable: match "[^=]+" variable == null) (attrNames env))
    )
    ++ (
      if image ? name then
        of "name" (
          given:
          when (!oci.isName given)
            "${at "name"} is ${quote given}, which no registry takes: give folders in lower case below the registry's host, such as \"ghcr.io/acme/api\"; the tag is ${at "tag"}"
        )
      else
        map
          (
            program: "${at "name"} is missing, for ${quote program} cannot be one: give a name such as \"api\""
          )
          (
            filter (program: !oci.isName (oci.nameOf program)) (
              if programs == [ ] then [ ] else [ (head programs) ]
            )
          )
    )
    ++ of "tag" (
      tag:
      when (!oci.isTag tag)
        "${at "tag"} is ${quote tag}, which no registry takes: give at most 128 letters, digits, `_`, `.` and `-`, and none of the last two at the start"
    )
    ++ of "user" (shape "images.${name}.user." knownOfUser [ ])
    ++ of "workingDir" (
      folder:
      when (
        match "/|(/[^/]+)+" folder == null
      ) "${at "workingDir"} is ${quote folder}: give a path from the root, such as \"/data\""
    )
    ++ of "stopSignal" (
      signal:
      when (
        match "SIG[A-Z]+[A-Z0-9+-]*|[1-9][0-9]?" signal == null
      ) "${at "stopSignal"} is ${quote signal}: give a signal such as \"SIGTERM\" or \"SIGINT\""
    )
    ++ of "contents" (contentProblems (at "contents") (map (program: "/bin/${program}") programs));
in
{
  imageProblems =
    facts: images:
    concatMap (
      name:
      if !isAttrs images.${name} then
        [
          "${quote "images.${name}"} is ${described images.${name}}: give a set such as `{ bin = \"api\"; }`"
        ]
      else
        problemsOf facts name images.${name}
    ) (attrNames images);

  # Images lie beside packages in a flake, and their checks beside the others: a name of both would hide one of them.
  imageNameProblems =
    { packages, checks }:
    images:
    concatMap (
      name:
      let
        taken =
          kind: names:
          when (elem name names) "${quote "images.${name}"} has the name of the ${kind} ${quote name} and would take its place: call the image ${quote "images.${name}-image"}";
      in
      taken "package" packages ++ taken "check" checks
    ) (attrNames images);
}
