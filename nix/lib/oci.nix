# The configuration of an image, as the OCI image specification and Docker's extension of it have it. Only builtins.
let
  inherit (builtins)
    attrNames
    genList
    isInt
    isString
    listToAttrs
    map
    match
    replaceStrings
    stringLength
    substring
    ;

  # Docker counts in nanoseconds.
  nanoseconds = seconds: seconds * 1000000000;

  # Days since 1970-01-01 as year, month and day (proleptic Gregorian, after Howard Hinnant).
  civil =
    days:
    let
      shifted = days + 719468;
      era = shifted / 146097;
      dayOfEra = shifted - era * 146097;
      yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365;
      dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
      month' = (5 * dayOfYear + 2) / 153;
      month = if month' < 10 then month' + 3 else month' - 9;
    in
    {
      inherit month;
      day = dayOfYear - (153 * month' + 2) / 5 + 1;
      year = yearOfEra + era * 400 + (if month <= 2 then 1 else 0);
    };

  two = number: if number < 10 then "0${toString number}" else toString number;

  letters = text: genList (at: substring at 1 text) (stringLength text);

  # The grammar of references to images. A host has a dot or a port, or is `localhost`; otherwise it would be a folder.
  label = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?";
  port = ":[0-9]+";
  host = "(localhost(${port})?|${label}${port}|${label}([.]${label})+(${port})?|[[][0-9A-Fa-f:]+](${port})?)";
  component = "[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*";
in
rec {
  # Seconds since 1970 as RFC 3339 in UTC. Not for times before 1970.
  rfc3339 =
    seconds:
    let
      days = seconds / 86400;
      rest = seconds - days * 86400;
      date = civil days;
    in
    "${toString date.year}-${two date.month}-${two date.day}T"
    + "${two (rest / 3600)}:${two ((rest - rest / 3600 * 3600) / 60)}:${two (rest - rest / 60 * 60)}Z";

  # Whether a text can be an image's name: folders in lower case, below a registry's host if there is one.
  isName =
    name: stringLength name <= 255 && match "(${host}/)?${component}(/${component})*" name != null;
  # The name that a program's image has by itself.
  nameOf = replaceStrings (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (
    letters "abcdefghijklmnopqrstuvwxyz"
  );
  isTag = tag: match "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}" tag != null;
  # A version may have a `+`, a tag may not.
  tagOf = replaceStrings [ "+" ] [ "-" ];

  # 8000 or "53/udp".
  isPort =
    port:
    let
      parts =
        if isInt port then
          [ (toString port) ]
        else if isString port then
          match "([1-9][0-9]{0,4})/(tcp|udp|sctp)" port
        else
          null;
    in
    parts != null
    && (
      let
        number = builtins.fromJSON (builtins.head parts);
      in
      number > 0 && number < 65536
    );
  portOf = port: if isInt port then "${toString port}/tcp" else port;

  healthcheck = health: test: {
    Test = [ "CMD" ] ++ test;
    Interval = nanoseconds health.intervalSeconds;
    Timeout = nanoseconds health.timeoutSeconds;
    StartPeriod = nanoseconds health.startSeconds;
    Retries = health.retries;
  };

  # Labels of the OCI image specification; what is not known is left out.
  labels =
    {
      title,
      version,
      lastModified,
      description ? null,
      licenses ? null,
      source ? null,
      revision ? null,
    }:
    let
      all = {
        inherit
          title
          version
          description
          licenses
          source
          revision
          ;
        created = rfc3339 lastModified;
      };
      known = builtins.filter (name: all.${name} != null) (attrNames all);
    in
    listToAttrs (
      map (name: {
        name = "org.opencontainers.image.${name}";
        value = all.${name};
      }) known
    );

  config =
    {
      contract,
      # Where the program lies; what else is started first, if anything is; what is asked for health.
      program,
      entrypoint ? [ program ],
      test ? null,
      args,
      env,
      ports,
      labels,
      user ? contract.user,
      workingDir ? "/",
      stopSignal ? contract.stopSignal,
    }:
    {
      User = "${toString user.uid}:${toString user.gid}";
      Entrypoint = entrypoint;
      Cmd = args;
      Env = map (name: "${name}=${env.${name}}") (attrNames env);
      ExposedPorts = listToAttrs (
        map (port: {
          name = portOf port;
          value = { };
        }) ports
      );
      Labels = labels;
      StopSignal = stopSignal;
      WorkingDir = workingDir;
    }
    // (
      if test == null then { } else { Healthcheck = healthcheck contract.health ([ program ] ++ test); }
    );
}
