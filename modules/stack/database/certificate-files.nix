# Where the server finds its certificate. Only data.
rec {
  folder = "/run/slipway-database-certificate";
  certificate = "${folder}/certificate.pem";
  key = "${folder}/key.pem";
}
