# Whether CERTIFICATE is one of AUTHORITY for this member: asked when a system is built, if both are files of the flake, and
# before the programs get it.
# shellcheck shell=bash
refuse() {
  printf '%s\n' "$1" >&2
  exit 1
}
cure="its names must be DNS:$SERVER_NAME and IP:$ADDRESS, for servers and clients (serverAuth and clientAuth), signed by $OPTION.authority"

for file in "$AUTHORITY" "$CERTIFICATE"; do
  openssl x509 -in "$file" -noout 2> /dev/null || refuse "$file of $OPTION is no certificate in PEM; write it again"
done
for purpose in sslserver sslclient; do
  openssl verify -CAfile "$AUTHORITY" -untrusted "$CERTIFICATE" -purpose "$purpose" "$CERTIFICATE" > /dev/null 2>&1 \
    || refuse "$OPTION.certificate: $CERTIFICATE does not pass as $purpose by $AUTHORITY ($(openssl verify -CAfile "$AUTHORITY" -untrusted "$CERTIFICATE" -purpose "$purpose" "$CERTIFICATE" 2>&1 | sed -n 's/^error [0-9]* at [^:]*: //p' | head -n 1)); $cure"
done
openssl x509 -in "$CERTIFICATE" -noout -checkip "$ADDRESS" | grep -q "does match" \
  || refuse "$OPTION.certificate: $CERTIFICATE is not for this member's address $ADDRESS; $cure"
openssl x509 -in "$CERTIFICATE" -noout -checkhost "$SERVER_NAME" | grep -q "does match" \
  || refuse "$OPTION.certificate: $CERTIFICATE is not for the cluster's name $SERVER_NAME; $cure"
