#!/usr/bin/env bash
# debian.sh RELEASE: runs .ci/run on the commit of this checkout, in a bare root of that Debian below .build.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "make test-debian: $1" >&2
    exit 1
}

release=${1-}
case $release in
    bookworm | trixie | forky) ;;
    *) fail "RELEASE must be bookworm, trixie or forky, as in: make test-debian RELEASE=trixie" ;;
esac
[ "$(id -u)" = 0 ] || fail "only root can make a root of another Debian"
command -v debootstrap >/dev/null || fail "debootstrap is missing; on Debian: apt-get install debootstrap"

root=$PWD/.build/debian-$release
if [ ! -e "$root/made" ]; then
    rm -rf "$root"
    # From where this machine takes its packages, if it is a Debian; the script is the same for all releases.
    mirror=$(apt-get indextargets --format '$(SITE)' 'Label: Debian' 'Created-By: Packages' | head -n 1)
    debootstrap --variant=minbase --include=ca-certificates,git,make,python3,python3-venv \
        "$release" "$root" "$mirror" sid
    touch "$root/made"
fi

# How this machine reaches the registries, the root does too.
cp /etc/hosts /etc/resolv.conf "$root/etc"
apt-config dump | grep '^Acquire::' >"$root/etc/apt/apt.conf.d/90machine"
cp --recursive --no-target-directory /usr/local/share/ca-certificates "$root/usr/local/share/ca-certificates"
chroot "$root" update-ca-certificates
handed_on=()
for name in "${!PIP_@}" "${!UV_@}" "${!SSL_CERT_@}" http_proxy https_proxy no_proxy; do
    [ -z "${!name-}" ] || handed_on+=("$name=${!name}")
done

rm -rf "$root/project"
git clone --quiet . "$root/project"

# The mounts, and whatever still runs, end with the namespaces.
export root
unshare --mount --pid --fork --kill-child bash -c '
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    chroot "$root" env --ignore-environment HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" bash /project/.ci/run
    exit $?' bash "${handed_on[@]}"
