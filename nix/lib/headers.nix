# Headers of every answer of a domain: by name, and as nginx writes them.
{ lib }:
{
  headersOf =
    domain:
    lib.filterAttrs (_: value: value != null) domain.headers
    // {
      Strict-Transport-Security =
        "max-age=${toString domain.tls.hsts.maxAgeSeconds}"
        + lib.optionalString domain.tls.hsts.includeSubDomains "; includeSubDomains";
    };
  headerLines = lib.mapAttrsToList (
    header: value: "add_header ${header} \"${lib.escape [ "\\" "\"" ] value}\" always;"
  );
}
