#compdef effect-opencode

_effect-opencode() {
  local curcontext="$curcontext" state line
  local -a commands=(
    'run:Runs the agent once and shows what it does'
    'batch:Runs many agents\: the jobs of a file, once for each cell of a matrix'
    'replay:Replays a recorded run at its own speed or faster'
    'doctor:Checks that OpenCode can run here, and says what to do if not'
  )
  _arguments -C \
    '--verbose''[Show the cause of an error, and log]' \
    '(-h --help)'{-h,--help}'[Show the help]' \
    '--version''[Show the version]' \
    '--completions''[Print a completion script]:value:(bash zsh fish)' \
    '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe -t commands command commands ;;
    argument)
      case $line[1] in
        run)
          _arguments \
            '(-f --file)'{-f,--file}'[Read the prompt from a file; appended to the prompt argument if there is one]:file:_files' \
            '--json''[Print events and the result as JSON lines, for programs]' \
            '--transcript''[Append every event to a file that `replay` can play back]:file:_files' \
            '--keep-raw''[With --json\: include the lines that OpenCode printed in the result]' \
            '--agent''[The primary agent]:value:' \
            '(-m --model)'{-m,--model}'[The model]:value:' \
            '--variant''[The model'\''s variant, such as its reasoning effort]:value:' \
            '--thinking''[Show the model'\''s reasoning]' \
            '--command''[A slash command; the prompt is its arguments and may be left out]:value:' \
            '--title''[The session'\''s title]:value:' \
            '*--files''[A file to attach]:file:_files' \
            '*--instructions''[An instruction file for the agent]:file:_files' \
            '--permission''[What the agent may do\: read-only, allow-all, deny-all, or rules ('\''{"*"\:"deny","read"\:"allow"}'\'')]:value:' \
            '--auto''[Approve whatever would be asked; rules that deny stay]' \
            '--tools''[OpenCode'\''s `tools` configuration]:value:' \
            '--mcp''[OpenCode'\''s `mcp` configuration]:value:' \
            '--config-overrides''[Any part of OpenCode'\''s configuration]:value:' \
            '--session-id''[Go on in this session]:value:' \
            '--continue-session''[Go on in the last session]' \
            '--fork''[Branch off the session instead of going on in it]' \
            '--share''[Publish the session]' \
            '--pure''[No external plugins]' \
            '--attach''[A running OpenCode server to use]:value:' \
            '--username''[The server'\''s user name]:value:' \
            '--password-env''[The environment variable that holds the server'\''s password]:value:' \
            '--password-file''[The file that holds the server'\''s password]:file:_files' \
            '--dir''[The directory that OpenCode changes to, on the server with --attach]:directory:_files -/' \
            '--port''[The port of OpenCode'\''s own server]:value:' \
            '*--extra-env''[A variable for OpenCode and its tools]:value:' \
            '*--extra-env-from''[Hands a variable of this program on as a secret\: to OpenCode with --environment reviewed, and masked in transcripts and errors]:value:' \
            '*--extra-env-file''[Secret variables from a file of name=value lines]:file:_files' \
            '--disable-autoupdate''[Keep OpenCode from updating itself]' \
            '--no-disable-autoupdate''[Keep OpenCode from updating itself]' \
            '--startup-profile''[fast\: start with the part of OpenCode'\''s model list that the run names, fetch none, ask for no title]:value:(full fast)' \
            '--print-logs''[Have OpenCode log]' \
            '--no-print-logs''[Have OpenCode log]' \
            '--log-level''[The level of OpenCode'\''s log]:value:(DEBUG INFO WARN ERROR)' \
            '*--extra-args''[A further argument for `opencode run`]:value:' \
            '--cwd''[The working directory]:directory:_files -/' \
            '--timeout''[The time for everything]:value:' \
            '--startup-timeout''[The time to the first event]:value:' \
            '--idle-timeout''[The time without an event, so the longest tool call]:value:' \
            '--exit-grace''[How long OpenCode may take to exit when it has finished]:value:' \
            '--budget-steps''[Steps at most]:value:' \
            '--budget-cost''[US dollars at most, by OpenCode'\''s price list]:value:' \
            '--budget-tokens''[Tokens at most, cached ones included]:value:' \
            '--budget-tool-calls''[Tool calls at most]:value:' \
            '--unpriced''[Under a limit of cost, where OpenCode has no price for the model\: a warning, the end of the run, or nothing]:value:(warn error allow)' \
            '--max-provider-retries''[Failed attempts at the provider in a row, after which the run is ended]:value:' \
            '--prompt-via''[How the prompt reaches OpenCode]:value:(stdin argv)' \
            '--recover''[Ask the session for the end of the conversation where OpenCode lost it]:value:' \
            '--usage''[Add the tokens and the cost of sub-agents, which takes a start of OpenCode for each]:value:' \
            '--binary''[OpenCode]:file:_files' \
            '--opencode-version''[The version of the binary, which saves asking it]:value:' \
            '--isolation''[Where OpenCode keeps its data\: a private directory that goes with the run, its own, or one of yours]:directory:_files -/' \
            '--retries''[Further starts after a crash of OpenCode'\''s database at its start]:value:' \
            '--force-kill-after''[How long OpenCode may take to end when it was asked to, before it is killed]:value:' \
            '--environment''[What OpenCode inherits\: all variables, or those without secrets]:value:(inherit reviewed)' \
            '--verbose''[Show the cause of an error, and log]' \
            '(-h --help)'{-h,--help}'[Show the help]' \
            '*:prompt:'
          ;;
        batch)
          _arguments \
            '--format''[The format of the job file]:value:(jsonl json csv yaml)' \
            '--prompt''[The prompt of every job; {{column}} inserts a column of the file]:value:' \
            '--prompt-file''[A file with the prompt template]:file:_files' \
            '--name''[The names of the jobs]:value:' \
            '*--matrix''[Run every job once for each value, or combination of values, of\: model, agent, cwd, timeout, config.<option>, budget.<limit>, or a column that templates use]:value:' \
            '--repeat''[How many times each job is run]:value:' \
            '--jobs''[Jobs that run at the same time]:value:' \
            '(-o --output)'{-o,--output}'[The results file\: a JSON line for each job, written when it ends]:file:_files' \
            '--resume''[Continue with an existing results file\: jobs that have a result are not run again]' \
            '--retry-failed''[With --resume\: run failed jobs again]' \
            '--fail-fast''[Start no further job after one has failed]' \
            '--total-cost''[US dollars that all jobs together may cost]:value:' \
            '--total-tokens''[Tokens that all jobs together may use]:value:' \
            '--total-steps''[Steps that all jobs together may take]:value:' \
            '--total-tool-calls''[Tool calls that all jobs together may make]:value:' \
            '--worktree''[Give each run a git worktree and a branch of its own]' \
            '--base''[With --worktree\: the commit that worktrees start from]:value:' \
            '--keep-worktrees''[With --worktree\: worktrees to keep even if removing them would lose nothing]:value:(none failed succeeded all)' \
            '--report''[Write an HTML report at the end, with every run'\''s transcript]:file:_files' \
            '--plain''[Print a line for each event, also on a terminal]' \
            '--dry-run''[List the jobs and start nothing]' \
            '--agent''[The primary agent]:value:' \
            '(-m --model)'{-m,--model}'[The model]:value:' \
            '--variant''[The model'\''s variant, such as its reasoning effort]:value:' \
            '--thinking''[Show the model'\''s reasoning]' \
            '--command''[A slash command; the prompt is its arguments and may be left out]:value:' \
            '--title''[The session'\''s title]:value:' \
            '*--files''[A file to attach]:file:_files' \
            '*--instructions''[An instruction file for the agent]:file:_files' \
            '--permission''[What the agent may do\: read-only, allow-all, deny-all, or rules ('\''{"*"\:"deny","read"\:"allow"}'\'')]:value:' \
            '--auto''[Approve whatever would be asked; rules that deny stay]' \
            '--tools''[OpenCode'\''s `tools` configuration]:value:' \
            '--mcp''[OpenCode'\''s `mcp` configuration]:value:' \
            '--config-overrides''[Any part of OpenCode'\''s configuration]:value:' \
            '--session-id''[Go on in this session]:value:' \
            '--continue-session''[Go on in the last session]' \
            '--fork''[Branch off the session instead of going on in it]' \
            '--share''[Publish the session]' \
            '--pure''[No external plugins]' \
            '--attach''[A running OpenCode server to use]:value:' \
            '--username''[The server'\''s user name]:value:' \
            '--password-env''[The environment variable that holds the server'\''s password]:value:' \
            '--password-file''[The file that holds the server'\''s password]:file:_files' \
            '--dir''[The directory that OpenCode changes to, on the server with --attach]:directory:_files -/' \
            '--port''[The port of OpenCode'\''s own server]:value:' \
            '*--extra-env''[A variable for OpenCode and its tools]:value:' \
            '*--extra-env-from''[Hands a variable of this program on as a secret\: to OpenCode with --environment reviewed, and masked in transcripts and errors]:value:' \
            '*--extra-env-file''[Secret variables from a file of name=value lines]:file:_files' \
            '--disable-autoupdate''[Keep OpenCode from updating itself]' \
            '--no-disable-autoupdate''[Keep OpenCode from updating itself]' \
            '--startup-profile''[fast\: start with the part of OpenCode'\''s model list that the run names, fetch none, ask for no title]:value:(full fast)' \
            '--print-logs''[Have OpenCode log]' \
            '--no-print-logs''[Have OpenCode log]' \
            '--log-level''[The level of OpenCode'\''s log]:value:(DEBUG INFO WARN ERROR)' \
            '*--extra-args''[A further argument for `opencode run`]:value:' \
            '--cwd''[The working directory]:directory:_files -/' \
            '--timeout''[The time for everything]:value:' \
            '--startup-timeout''[The time to the first event]:value:' \
            '--idle-timeout''[The time without an event, so the longest tool call]:value:' \
            '--exit-grace''[How long OpenCode may take to exit when it has finished]:value:' \
            '--budget-steps''[Steps at most]:value:' \
            '--budget-cost''[US dollars at most, by OpenCode'\''s price list]:value:' \
            '--budget-tokens''[Tokens at most, cached ones included]:value:' \
            '--budget-tool-calls''[Tool calls at most]:value:' \
            '--unpriced''[Under a limit of cost, where OpenCode has no price for the model\: a warning, the end of the run, or nothing]:value:(warn error allow)' \
            '--max-provider-retries''[Failed attempts at the provider in a row, after which the run is ended]:value:' \
            '--prompt-via''[How the prompt reaches OpenCode]:value:(stdin argv)' \
            '--recover''[Ask the session for the end of the conversation where OpenCode lost it]:value:' \
            '--usage''[Add the tokens and the cost of sub-agents, which takes a start of OpenCode for each]:value:' \
            '--binary''[OpenCode]:file:_files' \
            '--opencode-version''[The version of the binary, which saves asking it]:value:' \
            '--isolation''[Where OpenCode keeps its data\: a private directory that goes with the run, its own, or one of yours]:directory:_files -/' \
            '--retries''[Further starts after a crash of OpenCode'\''s database at its start]:value:' \
            '--force-kill-after''[How long OpenCode may take to end when it was asked to, before it is killed]:value:' \
            '--environment''[What OpenCode inherits\: all variables, or those without secrets]:value:(inherit reviewed)' \
            '--startup-concurrency''[Runs that may be starting at once; a start takes 4 seconds of processor time]:value:' \
            '--startup-window''[The longest time that a start keeps others waiting]:value:' \
            '--rate-limit-gate''[Hold new starts back when a provider is asked too much]' \
            '--rate-limit-wait''[How long to hold them back where the provider does not say]:value:' \
            '--verbose''[Show the cause of an error, and log]' \
            '(-h --help)'{-h,--help}'[Show the help]' \
            '*:file:_files'
          ;;
        replay)
          _arguments \
            '--speed''[Speed relative to the original run, or instant]:value:' \
            '--max-pause''[Shorten longer pauses to this]:value:' \
            '--run''[Which run of the file to replay]:value:' \
            '--verbose''[Show the cause of an error, and log]' \
            '(-h --help)'{-h,--help}'[Show the help]' \
            '*:file:_files'
          ;;
        doctor)
          _arguments \
            '--json''[Print the findings as one line of JSON]' \
            '(-m --model)'{-m,--model}'[Check that OpenCode offers this model]:value:' \
            '--binary''[OpenCode]:file:_files' \
            '--opencode-version''[The version of the binary, which saves asking it]:value:' \
            '--isolation''[Where OpenCode keeps its data\: a private directory that goes with the run, its own, or one of yours]:directory:_files -/' \
            '--retries''[Further starts after a crash of OpenCode'\''s database at its start]:value:' \
            '--force-kill-after''[How long OpenCode may take to end when it was asked to, before it is killed]:value:' \
            '--environment''[What OpenCode inherits\: all variables, or those without secrets]:value:(inherit reviewed)' \
            '--verbose''[Show the cause of an error, and log]' \
            '(-h --help)'{-h,--help}'[Show the help]'
          ;;
      esac
      ;;
  esac
}

if [ "$funcstack[1]" = "_effect-opencode" ]; then
  _effect-opencode "$@"
else
  compdef _effect-opencode effect-opencode
fi
