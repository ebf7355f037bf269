#!/bin/bash
# Writes to stdout the C++ table of migrations made from the .sql files named as arguments.
# Called by the build; fails when a number is missing or a name is not NNNN_words.sql.
set -euo pipefail
echo '#include "storage/schema/fill_search.h"'
echo '#include "storage/schema/migrations.h"'
echo '#include "storage/schema/pack_points.h"'
echo 'namespace lctl::storage {'
echo 'namespace {'
echo 'constexpr Migration kMigrations[] = {'
expected=1
for file in $(printf '%s\n' "$@" | sort); do
  name=$(basename "$file" .sql)
  if [[ ! $name =~ ^[0-9]{4}_[a-z0-9_]+$ ]] || ((10#${name:0:4} != expected)); then
    echo "embed.sh: $file: expected a name like $(printf '%04d' $expected)_what_it_adds.sql" >&2
    exit 1
  fi
  printf '    {%d, "%s", R"sql(' "$expected" "$name"
  cat "$file"
  # A migration that SQL cannot do alone names its function here.
  case $name in
    0003_point_blocks) echo ')sql", pack_points},' ;;
    0005_search) echo ')sql", fill_search},' ;;
    *) echo ')sql"},' ;;
  esac
  expected=$((expected + 1))
done
echo '};'
echo '}  // namespace'
echo 'std::span<const Migration> migrations() { return kMigrations; }'
echo '}  // namespace lctl::storage'
