# Shared by the scripts of tests/setup: messages, the cache, and a private apt.
# Sourced by bash scripts; sets no options of its own beyond the three below.
# shellcheck shell=bash

set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin

SETUP=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$SETUP/../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/hv_vmbus
LOGS=$CACHE/logs
APT=$CACHE/apt
mkdir -p "$LOGS"
export TOP SETUP CACHE LOGS

# Progress goes to stdout, except in scripts whose stdout is their result: those set SAY_FD=2.
say() { echo "==> $*" >&"${SAY_FD:-1}"; }
die() { echo "error: $*" >&2; exit 1; }

# logged NAME COMMAND...: run with all output in the log NAME; show its tail if it fails.
logged() {
	local log=$LOGS/$1.log
	shift
	if ! "$@" >"$log" 2>&1; then
		tail -n 30 "$log" >&2
		echo "error: failed: $* (log: $log)" >&2
		return 1
	fi
}

# strictly FUNCTION ARGS...: with "set -e" in force, which bash drops in a function called in a condition.
strictly() {
	# Function and variables travel to a new shell, where no condition surrounds the call.
	local fn=$1
	shift
	bash -euo pipefail -c "$(declare -f "$fn"); $fn \"\$@\"" "$fn" "$@"
}

# hash_of FILE...: one short key of the files' contents. Text on stdin counts too, if "-" is among them.
hash_of() { cat -- "$@" | sha256sum | cut -c1-12; }

# locked NAME: hold the named lock until this process ends (two runs must not collide).
locked() {
	local fd
	mkdir -p "$CACHE/locks"
	exec {fd}>"$CACHE/locks/$1"
	if ! flock -n "$fd"; then
		say "waiting for another run that prepares: $1"
		flock "$fd"
	fi
}

# Cache entries are directories that appear by one rename: a half-built one has another name and never wins.
#   entry_begin DIR   prints a fresh scratch directory on the same file system
#   entry_end TMP DIR puts it in place
entry_begin() {
	mkdir -p "$(dirname "$1")"
	# An earlier run that died leaves its scratch behind; the lock says nobody is using it.
	rm -rf "$1".tmp.*
	mktemp -d "$1.tmp.XXXXXX"
}
entry_end() {
	chmod 755 "$1"
	rm -rf "$2"
	mv "$1" "$2"
}

# link_to TARGET LINK: point LINK at TARGET, atomically.
link_to() {
	ln -sfn "$1" "$2.new.$$"
	mv -T "$2.new.$$" "$2"
}

# younger_than DAYS FILE
younger_than() { [ -e "$2" ] && [ -n "$(find -H "$2" -maxdepth 0 -mtime "-$1" 2>/dev/null)" ]; }

codename() { (. /etc/os-release && echo "${VERSION_CODENAME:-}"); }

# ---- A private apt: own sources and lists in the cache, so that nothing under /etc/apt changes. ----

# Kernels of Debian 13 have lists of their own, so that on Debian 12 nothing is ever installed from there.
apt_of_trixie() {
	APT=$CACHE/apt-trixie
	apt_suites=trixie
}

# Packages of another architecture are read and never installed. Nothing but apt_of_arm64 sets this.
apt_arch=amd64

# The same suites, arm64's: apt_of_trixie comes before it.
apt_of_arm64() {
	APT=$APT-arm64
	apt_arch=arm64
}

# The machine's own entry tells which mirror to use; foreign sources are left out.
apt_sources() {
	local release targets main security keyring opt="" suite suites
	release=$(codename)
	case $release in
	bookworm | trixie) ;;
	*) die "this needs Debian 12 or 13; /etc/os-release says '${release:-nothing}'" ;;
	esac
	# shellcheck disable=SC2016
	targets=$(apt-get indextargets --format '$(CREATED_BY) $(REPO_URI) $(RELEASE) $(COMPONENT)')
	main=$(awk -v r="$release" '$1 == "Packages" && $3 == r && $4 == "main" { print $2; exit }' <<<"$targets")
	security=$(awk -v r="$release-security" '$1 == "Packages" && $3 == r && $4 == "main" { print $2; exit }' <<<"$targets")
	[ -n "$main" ] || die "no apt source for $release main found on this machine"
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -e $keyring ] && opt="[signed-by=$keyring] "
	suites=${apt_suites:-bookworm $([ "$release" != trixie ] || echo trixie)}
	for suite in $suites; do
		echo "deb $opt$main $suite main"
		echo "deb $opt$main $suite-updates main"
		[ "$suite" = bookworm ] || [ -n "${apt_suites:-}" ] && echo "deb $opt$main $suite-backports main"
		[ -n "$security" ] && echo "deb $opt$security $suite-security main"
	done
	return 0
}

# apt_do get|cache ARGS...
apt_do() {
	local tool=apt-$1
	shift
	DEBIAN_FRONTEND=noninteractive "$tool" \
		-o Dir::Etc::sourcelist="$APT/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
		-o Dir::State::lists="$APT/lists" -o Dir::Cache="$APT/cache" \
		-o APT::Architecture="$apt_arch" -o APT::Architectures="$apt_arch" -o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

# apt_ready [fresh]: lists are there; with "fresh", fetched within this run. Needs the network only when they are not.
apt_ready() {
	local want
	mkdir -p "$APT/lists/partial" "$APT/cache/archives/partial"
	want=$(apt_sources)
	if [ "${1:-}" = fresh ] || ! [ -e "$APT/updated" ] || [ "$want" != "$(cat "$APT/sources.list" 2>/dev/null)" ]; then
		say "fetching package lists"
		rm -f "$APT/updated"
		echo "$want" >"$APT/sources.list"
		logged apt-update apt_do get update -o APT::Update::Error-Mode=any || return 1
		touch "$APT/updated"
	fi
}

# mirror_of RELEASE: where debootstrap finds it.
mirror_of() { apt_sources | awk -v r="$1" '$(NF - 1) == r && !seen++ { print $(NF - 2) }'; }

# newest_of PACKAGE: PACKAGE=VERSION of the newest in the lists; nothing if there is none.
newest_of() { apt_do cache madison "$1" | awk '{ print $3 }' | sort -V | tail -n 1 | sed "s/^./$1=&/"; }

# apt_install [-t SUITE] PACKAGE...: lists age, and a file that is gone from the mirror is found after a fresh update.
apt_install() {
	say "installing $*"
	set -- get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
	logged apt-install apt_do "$@" || { apt_ready fresh && logged apt-install apt_do "$@"; }
}

# deb_of PACKAGE=VERSION: the name of its file.
deb_of() { echo "$(echo "$1" | tr '=:' '_%').deb"; }

# apt_fetch_found DIR COMMAND...: fetch the package that the command names, once more after a fresh update; print which.
apt_fetch_found() {
	local dir=$1 package
	shift
	package=$("$@")
	[ -n "$package" ] || die "not in the package lists: $*"
	apt_fetch "$dir" "$package" || {
		apt_ready fresh && package=$("$@") && apt_fetch "$dir" "$package" || return 1
	}
	echo "$package"
}

# apt_fetch DIR PACKAGE=VERSION...: the .deb files into DIR, those already there left alone.
apt_fetch() {
	local dir=$1 spec file
	shift
	mkdir -p "$dir"
	for spec in "$@"; do
		file=$dir/$(deb_of "$spec")
		[ -e "$file" ] && continue
		rm -rf "$dir/partial" && mkdir "$dir/partial"
		say "downloading ${spec%%=*} ${spec#*=}"
		(cd "$dir/partial" && logged apt-download apt_do get download "$spec") || return 1
		mv "$dir"/partial/*.deb "$file"
		rmdir "$dir/partial"
	done
}
