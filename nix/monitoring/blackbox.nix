# How the blackbox exporter judges an answer, by the kind of a probe. Each probe verifies the certificate, whose days the
# exporter reports.
{
  # A PEM file with an authority to trust instead of the system's.
  authority ? null,
}:
let
  module = http: {
    prober = "http";
    # Prometheus gives the time of its scrape; this is for people who ask by hand.
    timeout = "9s";
    http = {
      method = "GET";
      fail_if_not_ssl = true;
      # A redirect to a login page would hide the answer of the route itself.
      follow_redirects = false;
      preferred_ip_protocol = "ip4";
      tls_config = if authority == null then { } else { ca_file = "${authority}"; };
    }
    // http;
  };
  range = from: to: builtins.genList (at: from + at) (to - from + 1);
in
{
  modules = {
    # The default of the exporter: 2xx.
    ok = module { };
    # A program that answers at all, such as an api that wants a token.
    answer = module { valid_status_codes = range 200 499; };
    redirect = module {
      valid_status_codes = [
        301
        302
        303
        307
        308
      ];
    };
  };
}
