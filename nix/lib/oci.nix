# The configuration of an image, as the OCI image specification and Docker's extension of it have it. Only builtins.
let
  inherit (builtins)
    attrNames
    listToAttrs
    map
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
      program,
      args,
      env,
      ports,
      labels,
      test ? null,
    }:
    {
      User = "${toString contract.user.uid}:${toString contract.user.gid}";
      Entrypoint = [ program ];
      Cmd = args;
      Env = map (name: "${name}=${env.${name}}") (attrNames env);
      ExposedPorts = listToAttrs (
        map (port: {
          name = "${toString port}/tcp";
          value = { };
        }) ports
      );
      Labels = labels;
      StopSignal = contract.stopSignal;
      WorkingDir = "/";
    }
    // (
      if test == null then { } else { Healthcheck = healthcheck contract.health ([ program ] ++ test); }
    );
}
