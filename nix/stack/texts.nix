# Texts that systemd, nginx or a name server passes over in silence when they are wrong: a variable, an address, a folder or
# a domain is then not there.
{ lib }:
let
  matches = form: text: builtins.match form text != null;
  octet = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])";
  ipv4 = "${octet}([.]${octet}){3}";
  ipv6 = "[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*";
  networks = "${ipv4}(/(3[0-2]|[12]?[0-9]))?|${ipv6}(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?";
  isLabel = label: matches "[a-z0-9]([a-z0-9-]*[a-z0-9])?" label && builtins.stringLength label <= 63;
  # Those that a name may be a typing error of.
  close = name: lib.filter (lib.strings.levenshteinAtMost 2 name);
  # What the error of a wrong value shows says the cure.
  described =
    description: type:
    type
    // {
      inherit description;
      descriptionClass = "noun";
    };
in
{
  isVariable = matches "[A-Za-z_][A-Za-z0-9_]*";
  # The name of a file in $CREDENTIALS_DIRECTORY.
  isCredential = matches "[A-Za-z0-9_][A-Za-z0-9_.-]*";
  # A part of the names of units and containers: of a stack, a service or a job.
  isName = matches "[a-z]([a-z0-9-]{0,22}[a-z0-9])?";
  # An account or a group.
  isAccount = matches "[A-Za-z_][A-Za-z0-9_-]{0,30}";
  # What IPAddressAllow takes.
  isAddress = matches "any|localhost|link-local|multicast|${networks}";
  # Of a host; IPv6 in brackets where a port may follow.
  isHost = matches "${ipv4}|${ipv6}";
  isListener = matches "${ipv4}|\\[${ipv6}]";
  isNetwork = text: matches networks text && lib.hasInfix "/" text;
  isDomain = name: lib.all isLabel (lib.splitString "." name) && builtins.stringLength name <= 253;
  # Absolute, and one word for systemd, the rolling restart and Compose.
  isPath = matches "/[^][:space:]\\\"'%:]*";
  # Of a request.
  urlPath = described "path of a request, which begins with `/`, such as \"/healthz\"" (
    lib.types.strMatching "/[!-~]*"
  );
  inherit close described;

  # A name that is not among others, with the one that may be meant: the end of a sentence.
  instead =
    name: names:
    if names == [ ] then
      "there is none."
    else if close name names != [ ] then
      "is ${lib.head (close name names)} meant?"
    else
      "there is ${lib.concatStringsSep ", " names}.";
}
