# One destination of the shipper, from its options.
{ lib }:
{
  # In the shipper's configuration, and of its credentials.
  name,
  # The options' path, for messages.
  option,
  asked,
  # The shipper's unit.
  unit,
  # Besides host, port and TLS.
  settings,
  timeKey,
}:
let
  inherit (import ../../../nix/stack/texts.nix { inherit lib; }) isHost;
  parts = builtins.match "(https?)://([A-Za-z0-9.-]+|\\[[0-9a-fA-F:.]+])(:([0-9]{1,5}))?(/[A-Za-z0-9._~/-]*)?" asked.endpoint;
  at = builtins.elemAt parts;
  encrypted = at 0 == "https";
  host = lib.removeSuffix "]" (lib.removePrefix "[" (at 1));
  isLocal = builtins.match "127\\.[0-9.]+|localhost|::1" host != null;
  # Digits and dots are no name.
  isNumeric = builtins.match "[0-9.]+" host != null;
  path = lib.removeSuffix "/" (if at 4 == null then "" else at 4);
  credential = what: "/run/credentials/${unit}.service/${name}-${what}";
  # Read by the shipper itself: neither an argument nor the environment shows it.
  variable = "${lib.toUpper name}_PASSWORD";
in
{
  assertions = [
    {
      assertion = parts != null && (isHost host || !isNumeric);
      message = "${option}.endpoint is ${asked.endpoint}: give http or https, a name or an address and a port, such as \"https://monitor.internal:9444\".";
    }
    {
      assertion = parts == null || encrypted || isLocal || asked.allowPlain;
      message = "${option}.endpoint is ${asked.endpoint}: lines would travel unencrypted; use https, or on a network that encrypts, such as WireGuard, set ${option}.allowPlain = true.";
    }
    {
      assertion = (asked.certificate == null) == (asked.key == null);
      message = "${option} has one of certificate and key: set both, or neither.";
    }
    {
      assertion = (asked.user == null) == (asked.passwordFile == null);
      message = "${option} has one of user and passwordFile: set both, or neither.";
    }
    {
      assertion = asked.passwordFile == null || parts == null || encrypted || isLocal;
      message = "${option}.passwordFile would travel unencrypted to ${asked.endpoint}: use https, or no password.";
    }
  ];
  inherit host isLocal;
  isAddress = isHost host;
  # credential -> file
  credentials =
    lib.optionalAttrs (asked.key != null) { "${name}-key" = asked.key; }
    // lib.optionalAttrs (asked.passwordFile != null) { "${name}-password" = asked.passwordFile; };
  env = lib.optionalAttrs (asked.passwordFile != null) {
    ${variable} = "file://${credential "password"}";
  };
  output = {
    inherit name host timeKey;
    port =
      if at 3 != null then
        lib.toInt (at 3)
      else if encrypted then
        443
      else
        80;
    settings =
      settings
      // lib.optionalAttrs (path != "") { inherit path; }
      // lib.optionalAttrs encrypted (
        {
          tls = "on";
          "tls.verify" = "on";
          # Without it any certificate of the authority would do.
          "tls.verify_hostname" = "on";
          "tls.min_version" = "TLSv1.2";
          "tls.ca_file" = "${asked.authority}";
        }
        // lib.optionalAttrs (asked.key != null) {
          "tls.crt_file" = "${asked.certificate}";
          "tls.key_file" = credential "key";
        }
      )
      // lib.optionalAttrs (asked.passwordFile != null) {
        http_user = asked.user;
        http_passwd = "\${${variable}}";
      };
  };
}
