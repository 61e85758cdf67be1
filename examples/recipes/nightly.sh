#!/bin/sh
# Every night, from cron or a scheduled CI job: one agent for each repository, in a worktree of its own.
set -eu
cd "$(dirname "$0")"

# a new directory for each night: results, transcripts, the report
night="nights/$(date +%F)"
mkdir -p "$night"

code=0
effect-opencode batch repositories.csv \
  --prompt-file nightly.md --name "{{repository}}" --cwd "{{repository}}" \
  --worktree --jobs 2 --timeout 1h --budget-cost 2 --total-cost 20 \
  --permission @nightly.permission.json \
  --output "$night/refactoring.results.jsonl" --report "$night/report.html" --resume || code=$?

# each repository with work in it has a branch effect-opencode/<id>
jq -r 'select(.worktree.commits > 0) | "\(.name): \(.worktree.branch)"' "$night/refactoring.results.jsonl"
exit "$code"
