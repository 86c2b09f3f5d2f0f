# A certificate for tests, made when it is built. Its key is in the store, which a host's must never be.
{ pkgs, name }:
pkgs.runCommand "certificate-${name}" { nativeBuildInputs = [ pkgs.openssl ]; } ''
  mkdir $out
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=${name}" \
    -addext "subjectAltName=DNS:${name}" -keyout $out/key.pem -out $out/certificate.pem
''
