# Texts that systemd passes over in silence when they are wrong: a variable, an address or a folder is then not there. Only
# builtins.
let
  matches = form: text: builtins.match form text != null;
  octet = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])";
  ipv4 = "${octet}([.]${octet}){3}(/(3[0-2]|[12]?[0-9]))?";
  ipv6 = "[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?";
in
{
  isVariable = matches "[A-Za-z_][A-Za-z0-9_]*";
  # The name of a file in $CREDENTIALS_DIRECTORY.
  isCredential = matches "[A-Za-z0-9_][A-Za-z0-9_.-]*";
  # What IPAddressAllow takes.
  isAddress = matches "any|localhost|link-local|multicast|${ipv4}|${ipv6}";
  # Absolute, and one word for systemd, the rolling restart and Compose.
  isPath = matches "/[^][:space:]\\\"'%:]*";
}
