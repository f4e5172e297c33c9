# For scripts that check with Python; the arguments are the modules they need: $python, and a folder to work in, which goes with the script.
set -eu
python=/usr/bin/python3
for module in "$@"; do
  $python -c "import $module" 2>/dev/null || { echo "skipped: $python has no $module"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
