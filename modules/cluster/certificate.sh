# Checks a member's certificate, then gives it to the accounts that use it.
# shellcheck shell=bash
refuse() {
  printf '%s\n' "$1" >&2
  exit 1
}
cure="its names must be DNS:$SERVER_NAME and IP:$ADDRESS, for servers and clients (serverAuth and clientAuth), signed by $OPTION.authority"
key=$CREDENTIALS_DIRECTORY/key

for file in "$AUTHORITY" "$CERTIFICATE"; do
  openssl x509 -in "$file" -noout 2> /dev/null || refuse "$file of $OPTION is no certificate in PEM; write it again"
done
openssl pkey -in "$key" -noout 2> /dev/null || refuse "$OPTION.key: $KEY is no key in PEM; write it again"
cmp --silent <(openssl x509 -in "$CERTIFICATE" -noout -pubkey) <(openssl pkey -in "$key" -pubout) \
  || refuse "$OPTION.certificate: $CERTIFICATE is not of the key $KEY; the programs keep the pair that they have; write both files anew"
for purpose in sslserver sslclient; do
  openssl verify -CAfile "$AUTHORITY" -untrusted "$CERTIFICATE" -purpose "$purpose" "$CERTIFICATE" > /dev/null 2>&1 \
    || refuse "$OPTION.certificate: $CERTIFICATE does not pass as $purpose by $AUTHORITY ($(openssl verify -CAfile "$AUTHORITY" -untrusted "$CERTIFICATE" -purpose "$purpose" "$CERTIFICATE" 2>&1 | sed -n 's/^error [0-9]* at [^:]*: //p' | head -n 1)); $cure"
done
openssl x509 -in "$CERTIFICATE" -noout -checkip "$ADDRESS" | grep -q "does match" \
  || refuse "$OPTION.certificate: $CERTIFICATE is not for this member's address $ADDRESS; $cure"
openssl x509 -in "$CERTIFICATE" -noout -checkhost "$SERVER_NAME" | grep -q "does match" \
  || refuse "$OPTION.certificate: $CERTIFICATE is not for the cluster's name $SERVER_NAME; $cure"

for account in $ACCOUNTS; do
  folder=$FOLDER/$account
  install --directory --mode=0755 "$folder"
  install --mode=0644 "$AUTHORITY" "$folder/authority.pem.new"
  install --mode=0644 "$CERTIFICATE" "$folder/certificate.pem.new"
  rm -f "$folder/key.pem.new"
  install --mode=0600 "$key" "$folder/key.pem.new"
  chown "$account" "$folder/key.pem.new"
  for name in authority key certificate; do mv "$folder/$name.pem.new" "$folder/$name.pem"; done
done
for unit in $READERS; do
  # One that is not up yet reads it at its start.
  systemctl --no-block try-reload-or-restart "$unit" || true
done
