#!/usr/bin/env bash
# Runs a test written in Python with the system's interpreter, and writes its cases where Bazel reads
# them (XML_OUTPUT_FILE), so that single cases are counted.
set -uo pipefail
script="$TEST_SRCDIR/$TEST_WORKSPACE/$1"
output=$(mktemp)
python3 "$script" 2>&1 | tee "$output"
code=${PIPESTATUS[0]}
if [ -n "${XML_OUTPUT_FILE:-}" ]; then
  {
    echo '<testsuites><testsuite>'
    # unittest's verbose lines: "name (module.Class) ... ok|FAIL|ERROR|skipped"; the verdict may stand on a later line.
    grep -aoE '^(test_[A-Za-z0-9_]+) \(|(ok|FAIL|ERROR|skipped.*)$' "$output" |
      awk '/^test_/ { name = $1 }
           /^ok$/ && name { printf "<testcase name=\"%s\"/>\n", name; name = "" }
           /^(FAIL|ERROR|skipped)/ && name { printf "<testcase name=\"%s\"><failure/></testcase>\n", name; name = "" }'
    echo '</testsuite></testsuites>'
  } >"$XML_OUTPUT_FILE"
fi
rm -f "$output"
exit "$code"
