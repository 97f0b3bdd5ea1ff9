#!/usr/bin/env bash
# With Kerberos, pyspnego takes CORP\alice for a user named CORPalice, and CORP\tina for one with a tab in the name.
#
# Versions: pyspnego 0.12.4 (gssapi 1.12.0, krb5 0.10.0; MIT Kerberos 1.20.1 of Debian 12).
# Behaviour: the user name is parsed as a Kerberos principal, where a backslash quotes what follows: \a is a, while \b,
#   \n, \t and \0 are backspace, line feed, tab and NUL. With NTLM, the same call takes CORP for the domain.
# Why it matters: DOMAIN\user is how Windows users write their name. The KDC does not know the user that is asked for;
#   with protocol "negotiate" pyspnego then continues with NTLM, without an error. user@REALM works.
# Seen, as the principal for which a ticket is requested (a KDC is not needed to see it):
#   alice@CORP.EXAMPLE: user b'alice', realm b'CORP.EXAMPLE'
#   CORP\alice: user b'CORPalice', realm b'CORP.EXAMPLE'
#   CORP\tina: user b'CORP\tina', realm b'CORP.EXAMPLE'
# (Python writes a backslash in bytes as \\, so \t is a tab there.)
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

cat >"$folder/krb5.conf" <<'EOF'
[libdefaults]
    default_realm = CORP.EXAMPLE
    dns_lookup_kdc = false
EOF
cat >"$folder/try.py" <<'EOF'
import krb5
import spnego

get_init_creds_password = krb5.get_init_creds_password


def shown(context, principal, *arguments, **options):
    (user,) = principal.components
    print(f"user {user}, realm {principal.realm}")
    return get_init_creds_password(context, principal, *arguments, **options)


krb5.get_init_creds_password = shown
for name in (r"alice@CORP.EXAMPLE", r"CORP\alice", r"CORP\tina"):
    print(name, end=": ")
    try:
        spnego.client(name, "a password", "mail.corp.example", "smtp", protocol="kerberos")
    except krb5.Krb5Error as no_kdc:
        assert "Cannot find KDC" in str(no_kdc), no_kdc
EOF
KRB5_CONFIG=$folder/krb5.conf "$folder/venv/bin/python" "$folder/try.py" >"$folder/seen"

diff - "$folder/seen" <<'EOF'
alice@CORP.EXAMPLE: user b'alice', realm b'CORP.EXAMPLE'
CORP\alice: user b'CORPalice', realm b'CORP.EXAMPLE'
CORP\tina: user b'CORP\tina', realm b'CORP.EXAMPLE'
EOF
echo "As described."
