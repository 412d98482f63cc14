#!/usr/bin/env bash
# Builds a Kafka image without pulling anything, for machines that reach Debian's and Maven's packages but no image registry.
# It has the entry points of both families of Kafka images, so that what starts one of them starts this one:
#   apache/kafka             CMD /etc/kafka/docker/run, tools under /opt/kafka/bin
#   confluentinc/cp-kafka    /etc/confluent/docker/run, tools on the PATH under their bare names
#
# build.sh JARS_DIR RECIPE TAG...     JARS_DIR: a Kafka 4.x release with its tools, as installation.ts brings it; RECIPE: becomes a label
# Needs a Docker engine that answers, and Debian's apt-get and dpkg-deb.
set -euo pipefail

jars=$1
recipe=$2
shift 2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/rootfs
mkdir -p "$root"/{usr/bin,usr/sbin,usr/lib,usr/lib64,dev,proc,sys,run,root,etc,var} "$work/packages"
for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
install -d -m 1777 "$root/tmp"

# The system: C and C++ libraries, bash, busybox for everything else, and the oldest Java from 17 on that Debian has here.
java_package() {
  local release
  for release in 17 21 25; do
    apt-cache show "openjdk-$release-jre-headless" >/dev/null 2>&1 && echo "openjdk-$release-jre-headless" && return
  done
  echo 'Debian has no openjdk-17, 21 or 25 here' >&2
  return 1
}
java=$(java_package) || { apt-get update -qq && java=$(java_package); }
packages=(libc6 libc-bin libgcc-s1 libstdc++6 zlib1g libtinfo6 bash busybox-static "$java")
download() { apt-get -o APT::Sandbox::User=root download -qq "${packages[@]}"; }
(cd "$work/packages" && { download || { apt-get update -qq && download; }; })
for package in "$work"/packages/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink --exclude='./usr/share/*'
done
"$root/usr/bin/busybox" --list | while read -r name; do
  [ -e "$root/usr/bin/$name" ] || ln -s busybox "$root/usr/bin/$name"
done
# bash, since other shells drop variables whose names hold a dash, as those of SASL mechanisms do.
ln -sf bash "$root/usr/bin/sh"
home=$(find "$root/usr/lib/jvm" -mindepth 1 -maxdepth 1 -type d -name 'java-*-openjdk-*')
ln -s "$(basename "$home")" "$root/usr/lib/jvm/default"
for program in "$home"/bin/*; do ln -s "/usr/lib/jvm/default/bin/$(basename "$program")" "$root/usr/bin/"; done
printf 'root:x:0:0:root:/root:/bin/bash\nappuser:x:1000:1000:appuser:/home/appuser:/bin/bash\n' >"$root/etc/passwd"
printf 'root:x:0:\nappuser:x:1000:\n' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

# Kafka: the jars, and the entry points that lie beside this script.
cp -R "$here/rootfs/." "$root/"
mkdir -p "$root"/opt/kafka/{libs,config,logs} "$root"/etc/kafka/secrets "$root"/var/lib/kafka/data "$root"/mnt/shared/config "$root"/home/appuser
cp "$jars"/*.jar "$root/opt/kafka/libs/"
for script in "$root"/opt/kafka/bin/*.sh; do
  ln -s "/opt/kafka/bin/$(basename "$script")" "$root/usr/bin/$(basename "$script" .sh)"
done
chmod -R a+rX "$root/opt" "$root/etc"
chown -R 1000:1000 "$root"/opt/kafka/{config,logs} "$root"/etc/{kafka,confluent} "$root"/var/lib/kafka "$root"/home/appuser

first=$1
before=$(docker images --quiet "$first")
tar -C "$root" -c . | docker import \
  -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/kafka/bin' \
  -c 'ENV JAVA_HOME=/usr/lib/jvm/default' -c 'ENV LANG=C.UTF-8' \
  -c "LABEL kafka-wire.recipe=$recipe" \
  -c 'USER appuser' -c 'WORKDIR /home/appuser' -c 'EXPOSE 9092' -c 'CMD ["/etc/kafka/docker/run"]' \
  - "$first" >/dev/null
for tag in "${@:2}"; do docker tag "$first" "$tag"; done
# What the tags named until now, unless a container still stands on it.
[ -z "$before" ] || docker rmi "$before" >/dev/null 2>&1 || true
