/**
 * What a shell sources to complete `retort`. Each asks `retort complete -- WORDS…`, whose first line says what is completed where
 * nothing else fits (`words`: nothing, `files`, `directories`), and every other one is a word, a tab and what it means. The words that
 * were typed are passed on as they are: none is evaluated.
 */
export const scripts = {
  bash: `# bash completion of retort. For ~/.bashrc: source <(retort completion bash)
_retort_complete() {
  local current="\${COMP_WORDS[COMP_CWORD]}" kind line
  [[ $current == "=" ]] && current=""
  COMPREPLY=()
  {
    read -r kind
    while IFS= read -r line; do
      line="\${line%%$'\\t'*}"
      [[ $line == "$current"* ]] && COMPREPLY+=("$line")
    done
  } < <(retort complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  case $kind in
    files) compopt -o default ;;
    directories) compopt -o dirnames ;;
  esac
}
complete -F _retort_complete retort
`,
  zsh: `#compdef retort
# zsh completion of retort. For ~/.zshrc, behind compinit: source <(retort completion zsh)
_retort() {
  local kind line meaning
  local -a lines described
  lines=("\${(@f)$(retort complete -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  kind=$lines[1]
  for line in "\${(@)lines[2,-1]}"; do
    meaning="\${line#*$'\\t'}"
    [[ -n $line ]] && described+=("\${\${line%%$'\\t'*}//:/\\\\:}\${meaning:+:$meaning}")
  done
  [[ $words[CURRENT] == --*=* ]] && compset -P '*='
  if (( $#described )); then
    _describe retort described
  else
    case $kind in
      files) _files ;;
      directories) _files -/ ;;
    esac
  fi
}
if [[ $funcstack[1] == _retort ]]; then _retort; else compdef _retort retort; fi
`,
  fish: `# fish completion of retort: retort completion fish > ~/.config/fish/completions/retort.fish
function __retort_complete
  set -l current (commandline -ct)
  set -q current[1]; or set current ''
  set -l typed (commandline -opc)
  set -l lines (retort complete -- $typed[2..-1] "$current" 2>/dev/null)
  set -l before (string match -r -- '^--[a-z-]+=' "$current")
  if set -q lines[2]
    printf '%s\\n' "$before"$lines[2..-1]
  else if test "$lines[1]" = files
    __fish_complete_path "$current"
  else if test "$lines[1]" = directories
    __fish_complete_directories "$current"
  end
end
complete -c retort -f -a '(__retort_complete)'
`,
} as const;

/** A shell that can complete. */
export type Shell = keyof typeof scripts;
