# Sourced by bin/*, with `root` as the folder of the clone.

need_node() {
  if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' 2>/dev/null; then
    echo "Mana Missions needs Node 20 or newer on PATH, found: $(node --version 2>/dev/null || echo none)" >&2
    exit 1
  fi
}

# own_node COMMAND [arguments]: installs what the command lacks, or says so where only its help is asked for, and prints the path
# of the Node that runs it.
own_node() {
  need_node
  node "$root/scripts/bootstrap.mjs" "$@"
}

# Installers keep caches in the user's folder; where that cannot be written, they do so in the clone.
if [ ! -w "${HOME-}" ]; then
  export npm_config_cache="$root/.tools/cache/npm" YARN_GLOBAL_FOLDER="$root/.tools/cache/yarn" PIP_CACHE_DIR="$root/.tools/cache/pip"
fi
