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
[ "$(id -u)" = 0 ] || fail "needs root, for debootstrap and chroot"
command -v debootstrap >/dev/null || fail "debootstrap is missing; on Debian: apt-get install debootstrap"

root=$PWD/.build/debian-$release
if [ ! -e "$root/made" ]; then
    rm -rf "$root"
    # From where this machine has its own packages, if it is a Debian. sid's script is that of every release.
    mirror=$(apt-get indextargets --format '$(SITE)' 'Label: Debian' 'Created-By: Packages' | head -n 1)
    debootstrap --variant=minbase --include=ca-certificates,git,make,python3,python3-venv \
        "$release" "$root" "$mirror" sid
    touch "$root/made"
fi

# The registries are reached as from here.
cp /etc/hosts /etc/resolv.conf "$root/etc"
apt-config dump | grep '^Acquire::' >"$root/etc/apt/apt.conf.d/90machine"
cp --recursive /usr/local/share/ca-certificates "$root/usr/local/share"
chroot "$root" update-ca-certificates
handed_on=()
for name in {http,https,no}_proxy SSL_CERT_{FILE,DIR} PIP_{CERT,INDEX_URL,DEFAULT_TIMEOUT} UV_DEFAULT_INDEX; do
    [ -z "${!name-}" ] || handed_on+=("$name=${!name}")
done

rm -rf "$root/project"
git clone --quiet . "$root/project"

# The mounts, and whatever still runs, end with the namespaces.
export root
exec unshare --mount --pid --fork --kill-child bash -c '
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    chroot "$root" env --ignore-environment HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" bash /project/.ci/run
    exit $?' bash "${handed_on[@]}"
