# A certificate from an authority for tests, made when it is built. Its key is in the store, which a host's must never be.
{
  pkgs,
  name,
  usage ? "serverAuth",
}:
pkgs.runCommand "certificate-${name}" { nativeBuildInputs = [ pkgs.openssl ]; } ''
  mkdir $out
  ec="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
  openssl req -x509 $ec -days 3650 -subj "/CN=authority of ${name}" \
    -addext keyUsage=critical,keyCertSign,cRLSign -keyout authority.key -out $out/authority.pem
  openssl req $ec -subj "/CN=${name}" -keyout $out/key.pem -out request
  printf '%s\n' subjectAltName=DNS:${name} basicConstraints=CA:FALSE extendedKeyUsage=${usage} \
    subjectKeyIdentifier=hash authorityKeyIdentifier=keyid > extensions
  openssl x509 -req -days 3650 -in request -CA $out/authority.pem -CAkey authority.key -CAcreateserial \
    -extfile extensions -out $out/certificate.pem
''
