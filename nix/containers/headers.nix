# Headers of every answer of a domain, by name.
{ lib }:
domain:
lib.filterAttrs (_: value: value != null) domain.headers
// {
  Strict-Transport-Security =
    "max-age=${toString domain.tls.hsts.maxAgeSeconds}"
    + lib.optionalString domain.tls.hsts.includeSubDomains "; includeSubDomains";
}
