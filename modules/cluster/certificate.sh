# After certificate-check.sh: gives the certificate to the accounts that use it, and has their programs take it.
# shellcheck shell=bash
key=$CREDENTIALS_DIRECTORY/key
openssl pkey -in "$key" -noout 2> /dev/null || refuse "$OPTION.key: $KEY is no key in PEM; write it again"
cmp --silent <(openssl x509 -in "$CERTIFICATE" -noout -pubkey) <(openssl pkey -in "$key" -pubout) \
  || refuse "$OPTION.certificate: $CERTIFICATE is not of the key $KEY; the programs keep the pair that they have; write both files anew"

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

# For the alert before their end.
metric=slipway_cluster_certificate_end_timestamp_seconds
{
  printf '# HELP %s When a certificate of the cluster ends.\n# TYPE %s gauge\n' "$metric" "$metric"
  for of in authority certificate; do
    file=$AUTHORITY
    [ "$of" = authority ] || file=$CERTIFICATE
    end=$(openssl x509 -in "$file" -noout -enddate)
    printf '%s{cluster="%s",of="%s"} %s\n' "$metric" "$CLUSTER" "$of" "$(date --date="${end#*=}" +%s)"
  done
} > "$FOLDER/certificate.prom.new"
chmod 0644 "$FOLDER/certificate.prom.new"
mv "$FOLDER/certificate.prom.new" "$FOLDER/certificate.prom"

# One that is not up yet reads it at its start. etcd reads it for each connection.
for unit in $RELOADED; do systemctl --no-block try-reload-or-restart "$unit" || true; done
for unit in $RESTARTED; do systemctl --no-block try-restart "$unit" || true; done
