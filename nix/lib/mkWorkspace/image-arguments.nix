# What an image of mkWorkspace takes, and what is wrong with what it was given. Only builtins.
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    isAttrs
    isInt
    isString
    typeOf
    ;
  inherit (import ./problems.nix)
    isListOf
    isTextSet
    list
    quote
    shape
    when
    ;

  knownOfImage = {
    bin = {
      is = "the name of a program";
      check = isString;
    };
    name = {
      is = "the image's name in the registry";
      check = isString;
    };
    args = {
      is = "a list of texts: what the program is started with";
      check = isListOf isString;
    };
    healthcheck = {
      is = "a list of texts: what the program is started with to ask whether it works, or null";
      check = value: value == null || isListOf isString value;
    };
    ports = {
      is = "a list of TCP ports";
      check = isListOf (port: isInt port && port > 0 && port < 65536);
    };
    env = {
      is = "a set of texts; secrets come at run time, as files";
      check = isTextSet;
    };
    labels = {
      is = "a set of texts";
      check = isTextSet;
    };
    maxMiB = {
      is = "a number: the check fails when the unpacked image is larger";
      check = isInt;
    };
  };
in
{
  imageProblems =
    programs: images:
    concatMap (
      name:
      let
        image = images.${name};
        prefix = "images.${name}.";
      in
      if !isAttrs image then
        [ "${quote "images.${name}"} is a ${typeOf image}: give a set such as `{ bin = \"api\"; }`" ]
      else
        shape prefix knownOfImage [ "bin" ] image
        ++
          when (isString (image.bin or null) && !elem image.bin programs)
            "${quote (prefix + "bin")} is ${quote image.bin}, which no crate makes; there are ${list programs}"
    ) (attrNames images);
}
