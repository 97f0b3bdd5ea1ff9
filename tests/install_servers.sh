#!/usr/bin/env bash
# Installs the Debian packages of the servers and the browser that the tests start, and the packages named as arguments.
# It starts nothing.
# Run it as root on Debian. Otherwise it lists what is missing, and succeeds: the tests that need it are skipped.
set -euo pipefail

packages=(
    krb5-kdc krb5-admin-server krb5-user                                # the Kerberos realm
    postfix sasl2-bin libsasl2-modules libsasl2-modules-gssapi-mit      # Postfix with Cyrus SASL
    dovecot-core dovecot-submissiond dovecot-gssapi                     # Dovecot's submission service
    gss-ntlmssp                                                         # NTLM inside GSS-API
    samba-ad-dc samba-ad-provision ldb-tools                            # an Active Directory domain
    postgresql                                                          # the database of a running Airflow
    chromium                                                            # the browser for Airflow's UI
    libkrb5-dev gcc libc6-dev                                           # to build pyspnego[kerberos]
)
packages+=("$@")
# A Python that is not Debian's has its own headers.
if [ "$(python3 -c 'import sys; print(sys.base_prefix)' 2>/dev/null)" = /usr ]; then
    packages+=(python3-dev)
fi

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null) || true
    [ "$status" = installed ] || missing+=("$package")
done

[ "$(id -u)" = 0 ] || echo "Not root: the tests that need Postfix will be skipped." >&2
if [ ${#missing[@]} = 0 ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Not installed, so the tests that need them will be skipped: ${missing[*]}" >&2
    exit 0
fi

# Debian starts a server when it is installed, unless this file forbids it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends "${missing[@]}"
