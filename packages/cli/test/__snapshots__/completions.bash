_effect_opencode() {
  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" command="${COMP_WORDS[1]}"
  COMPREPLY=()
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=($(compgen -W "run batch replay doctor --verbose -h --help --version --completions" -- "$cur"))
    return
  fi
  case "$command $prev" in
    "--completions --completions") COMPREPLY=($(compgen -W "bash zsh fish" -- "$cur")); return ;;
    "run -f" | "run --file") return ;;
    "run --transcript") return ;;
    "run --agent") return ;;
    "run -m" | "run --model") return ;;
    "run --variant") return ;;
    "run --command") return ;;
    "run --title") return ;;
    "run --files") return ;;
    "run --instructions") return ;;
    "run --permission") return ;;
    "run --tools") return ;;
    "run --mcp") return ;;
    "run --config-overrides") return ;;
    "run --session-id") return ;;
    "run --attach") return ;;
    "run --username") return ;;
    "run --password-env") return ;;
    "run --password-file") return ;;
    "run --dir") COMPREPLY=($(compgen -d -- "$cur")); return ;;
    "run --port") return ;;
    "run --extra-env") return ;;
    "run --extra-env-from") return ;;
    "run --extra-env-file") return ;;
    "run --startup-profile") COMPREPLY=($(compgen -W "full fast" -- "$cur")); return ;;
    "run --log-level") COMPREPLY=($(compgen -W "DEBUG INFO WARN ERROR" -- "$cur")); return ;;
    "run --extra-args") return ;;
    "run --cwd") COMPREPLY=($(compgen -d -- "$cur")); return ;;
    "run --timeout") return ;;
    "run --startup-timeout") return ;;
    "run --idle-timeout") return ;;
    "run --exit-grace") return ;;
    "run --budget-steps") return ;;
    "run --budget-cost") return ;;
    "run --budget-tokens") return ;;
    "run --budget-tool-calls") return ;;
    "run --unpriced") COMPREPLY=($(compgen -W "warn error allow" -- "$cur")); return ;;
    "run --max-provider-retries") return ;;
    "run --prompt-via") COMPREPLY=($(compgen -W "stdin argv" -- "$cur")); return ;;
    "run --recover") return ;;
    "run --usage") return ;;
    "run --binary") return ;;
    "run --opencode-version") return ;;
    "run --isolation") COMPREPLY=($(compgen -d -- "$cur")); return ;;
    "run --retries") return ;;
    "run --force-kill-after") return ;;
    "run --environment") COMPREPLY=($(compgen -W "inherit reviewed" -- "$cur")); return ;;
    "batch --format") COMPREPLY=($(compgen -W "jsonl json csv yaml" -- "$cur")); return ;;
    "batch --prompt") return ;;
    "batch --prompt-file") return ;;
    "batch --name") return ;;
    "batch --matrix") return ;;
    "batch --repeat") return ;;
    "batch --jobs") return ;;
    "batch -o" | "batch --output") return ;;
    "batch --total-cost") return ;;
    "batch --total-tokens") return ;;
    "batch --total-steps") return ;;
    "batch --total-tool-calls") return ;;
    "batch --base") return ;;
    "batch --keep-worktrees") COMPREPLY=($(compgen -W "none failed succeeded all" -- "$cur")); return ;;
    "batch --report") return ;;
    "batch --agent") return ;;
    "batch -m" | "batch --model") return ;;
    "batch --variant") return ;;
    "batch --command") return ;;
    "batch --title") return ;;
    "batch --files") return ;;
    "batch --instructions") return ;;
    "batch --permission") return ;;
    "batch --tools") return ;;
    "batch --mcp") return ;;
    "batch --config-overrides") return ;;
    "batch --session-id") return ;;
    "batch --attach") return ;;
    "batch --username") return ;;
    "batch --password-env") return ;;
    "batch --password-file") return ;;
    "batch --dir") COMPREPLY=($(compgen -d -- "$cur")); return ;;
    "batch --port") return ;;
    "batch --extra-env") return ;;
    "batch --extra-env-from") return ;;
    "batch --extra-env-file") return ;;
    "batch --startup-profile") COMPREPLY=($(compgen -W "full fast" -- "$cur")); return ;;
    "batch --log-level") COMPREPLY=($(compgen -W "DEBUG INFO WARN ERROR" -- "$cur")); return ;;
    "batch --extra-args") return ;;
    "batch --cwd") COMPREPLY=($(compgen -d -- "$cur")); return ;;
    "batch --timeout") return ;;
    "batch --startup-timeout") return ;;
    "batch --idle-timeout") return ;;
    "batch --exit-grace") return ;;
    "batch --budget-steps") return ;;
    "batch --budget-cost") return ;;
    "batch --budget-tokens") return ;;
    "batch --budget-tool-calls") return ;;
    "batch --unpriced") COMPREPLY=($(compgen -W "warn error allow" -- "$cur")); return ;;
    "batch --max-provider-retries") return ;;
    "batch --prompt-via") COMPREPLY=($(compgen -W "stdin argv" -- "$cur")); return ;;
    "batch --recover") return ;;
    "batch --usage") return ;;
    "batch --binary") return ;;
    "batch --opencode-version") return ;;
    "batch --isolation") COMPREPLY=($(compgen -d -- "$cur")); return ;;
    "batch --retries") return ;;
    "batch --force-kill-after") return ;;
    "batch --environment") COMPREPLY=($(compgen -W "inherit reviewed" -- "$cur")); return ;;
    "batch --startup-concurrency") return ;;
    "batch --startup-window") return ;;
    "batch --rate-limit-wait") return ;;
    "replay --speed") return ;;
    "replay --max-pause") return ;;
    "replay --run") return ;;
    "doctor -m" | "doctor --model") return ;;
    "doctor --binary") return ;;
    "doctor --opencode-version") return ;;
    "doctor --isolation") COMPREPLY=($(compgen -d -- "$cur")); return ;;
    "doctor --retries") return ;;
    "doctor --force-kill-after") return ;;
    "doctor --environment") COMPREPLY=($(compgen -W "inherit reviewed" -- "$cur")); return ;;
  esac
  [[ $cur == -* ]] || return
  case "$command" in
    run) COMPREPLY=($(compgen -W "-f --file --json --transcript --keep-raw --agent -m --model --variant --thinking --command --title --files --instructions --permission --auto --tools --mcp --config-overrides --session-id --continue-session --fork --share --pure --attach --username --password-env --password-file --dir --port --extra-env --extra-env-from --extra-env-file --disable-autoupdate --no-disable-autoupdate --startup-profile --print-logs --no-print-logs --log-level --extra-args --cwd --timeout --startup-timeout --idle-timeout --exit-grace --budget-steps --budget-cost --budget-tokens --budget-tool-calls --unpriced --max-provider-retries --prompt-via --recover --usage --binary --opencode-version --isolation --retries --force-kill-after --environment --verbose -h --help" -- "$cur")) ;;
    batch) COMPREPLY=($(compgen -W "--format --prompt --prompt-file --name --matrix --repeat --jobs -o --output --resume --retry-failed --fail-fast --total-cost --total-tokens --total-steps --total-tool-calls --worktree --base --keep-worktrees --report --plain --dry-run --agent -m --model --variant --thinking --command --title --files --instructions --permission --auto --tools --mcp --config-overrides --session-id --continue-session --fork --share --pure --attach --username --password-env --password-file --dir --port --extra-env --extra-env-from --extra-env-file --disable-autoupdate --no-disable-autoupdate --startup-profile --print-logs --no-print-logs --log-level --extra-args --cwd --timeout --startup-timeout --idle-timeout --exit-grace --budget-steps --budget-cost --budget-tokens --budget-tool-calls --unpriced --max-provider-retries --prompt-via --recover --usage --binary --opencode-version --isolation --retries --force-kill-after --environment --startup-concurrency --startup-window --rate-limit-gate --rate-limit-wait --verbose -h --help" -- "$cur")) ;;
    replay) COMPREPLY=($(compgen -W "--speed --max-pause --run --verbose -h --help" -- "$cur")) ;;
    doctor) COMPREPLY=($(compgen -W "--json -m --model --binary --opencode-version --isolation --retries --force-kill-after --environment --verbose -h --help" -- "$cur")) ;;
  esac
}
complete -o default -F _effect_opencode effect-opencode
