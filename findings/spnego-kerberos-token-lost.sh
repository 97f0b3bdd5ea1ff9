#!/usr/bin/env bash
# pyspnego's protocol "negotiate" does not send the Kerberos token unless mutual authentication is requested.
#
# Versions: pyspnego 0.12.4 (gssapi 1.12.0, krb5 0.10.0; MIT Kerberos 1.20.1 of Debian 12).
# Behaviour: without mutual_auth, a Kerberos client expects no answer, so its context is complete once it has made its
#   token. The SPNEGO layer asks a context for a token only while it is not complete. Its NegTokenInit holds the list of
#   mechanisms and no mechToken, and no later token holds one.
# Why it matters: the client raises nothing and reports that it is complete. It is the acceptor that fails, and it calls
#   the token invalid. context_req must have mutual_auth (the default has it, a list of flags of one's own may not).
# Seen:
#   kerberos, mutual_auth: first token with a ticket; client complete, acceptor complete
#   kerberos: first token with a ticket; client complete, acceptor complete
#   negotiate, mutual_auth: first token with a ticket; client complete, acceptor complete
#   negotiate: first token of 41 bytes; client complete, acceptor InvalidTokenError
set -euo pipefail
cd "$(dirname "$0")"
for needed in krb5-config cc; do
    command -v "$needed" >/dev/null || { echo "It needs libkrb5-dev and a C compiler: $needed is missing." >&2; exit 1; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --constraint ../constraints.txt \
    pyspnego==0.12.4 gssapi==1.12.0 krb5==0.10.0

# A KDC for the realm CORP.EXAMPLE, unpacked instead of installed: the packages of Debian 12.
(
    cd "$folder"
    apt-get download --quiet=2 krb5-kdc krb5-admin-server libkadm5srv-mit12 libkadm5clnt-mit12 libkdb5-10 libgssrpc4 \
        libverto1 libverto-libev1 libev4
    for package in *.deb; do dpkg-deb --extract "$package" kdc; done
)
libraries=$(dirname "$folder"/kdc/usr/lib/*/libkdb5.so.*.*)
kdc() {
    LD_LIBRARY_PATH=$libraries "$folder/kdc/usr/sbin/$1" "${@:2}"
}
port=$("$folder/venv/bin/python" -c 'import socket; free = socket.socket(); free.bind(("127.0.0.1", 0)); print(free.getsockname()[1])')
export KRB5_CONFIG=$folder/krb5.conf KRB5_KDC_PROFILE=$folder/kdc.conf KRB5_KTNAME=$folder/keytab KRB5RCACHENAME=none:
cat >"$KRB5_CONFIG" <<EOF
[libdefaults]
    default_realm = CORP.EXAMPLE
    dns_lookup_kdc = false
    dns_canonicalize_hostname = false
    udp_preference_limit = 1
[realms]
    CORP.EXAMPLE = {
        kdc = 127.0.0.1:$port
    }
[dbmodules]
    db_module_dir = $libraries/krb5/plugins/kdb
EOF
cat >"$KRB5_KDC_PROFILE" <<EOF
[kdcdefaults]
    kdc_listen = 127.0.0.1:$port
    kdc_tcp_listen = 127.0.0.1:$port
[realms]
    CORP.EXAMPLE = {
        database_name = $folder/principal
        key_stash_file = $folder/stash
    }
EOF
{
    kdc kdb5_util create -s -P "the master's password"
    kdc kadmin.local -q "addprinc -pw password alice"
    kdc kadmin.local -q "addprinc -randkey smtp/mail.corp.example"
    kdc kadmin.local -q "ktadd smtp/mail.corp.example"
} >"$folder/kadmin.log" 2>&1
LD_LIBRARY_PATH=$libraries "$folder/kdc/usr/sbin/krb5kdc" -n >"$folder/kdc.log" 2>&1 &
server=$!
trap 'kill "$server"; wait "$server" || true; rm -rf "$folder"' EXIT
until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    kill -0 "$server"
    sleep 0.1
done

cat >"$folder/try.py" <<'EOF'
import gssapi
import spnego
from spnego import ContextReq

for protocol in ("kerberos", "negotiate"):
    for title, flags in ((", mutual_auth", ContextReq.integrity | ContextReq.mutual_auth), ("", ContextReq.integrity)):
        client = spnego.client(
            "alice", "password", "mail.corp.example", "smtp", protocol=protocol, context_req=flags
        )
        acceptor = gssapi.SecurityContext(usage="accept")
        token = client.step()
        size = "with a ticket" if len(token) > 500 else f"of {len(token)} bytes"
        try:
            while token and (answer := acceptor.step(token)):
                token = client.step(answer)
            end = "complete" if acceptor.complete else "not complete"
        except gssapi.exceptions.GSSError as error:
            end = type(error).__name__
        print(f"{protocol}{title}: first token {size}; client {'complete' * client.complete}, acceptor {end}")
EOF
"$folder/venv/bin/python" "$folder/try.py" >"$folder/seen"

diff - "$folder/seen" <<'EOF'
kerberos, mutual_auth: first token with a ticket; client complete, acceptor complete
kerberos: first token with a ticket; client complete, acceptor complete
negotiate, mutual_auth: first token with a ticket; client complete, acceptor complete
negotiate: first token of 41 bytes; client complete, acceptor InvalidTokenError
EOF
echo "As described."
