"""dw completion"""

from __future__ import annotations

import argparse

from datawarehouse.cli.main import VERBS, parser_of

_BASH = """_dw() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="{verbs}"
  else
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
    case "$word" in -*) ;; *) words= ;; esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _dw dw
"""
_ZSH = """#compdef dw
_dw() {{
  local -a choices
  if (( CURRENT == 2 )); then
    choices=({verbs})
    compadd -a choices
    return
  fi
  if [[ $PREFIX != -* ]]; then
    _files
    return
  fi
  case "$words[2]" in
{cases}
  esac
  compadd -a choices
}}
if [[ $funcstack[1] == _dw ]]; then _dw "$@"; else compdef _dw dw; fi
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh"), help="for which shell")


def run(arguments: argparse.Namespace) -> None:
    """Print a script with the verbs, and the options of each."""
    options = {verb: _options(verb) for verb in VERBS}
    if arguments.shell == "bash":
        cases = "\n".join(f'      {verb}) words="{" ".join(options[verb])}" ;;' for verb in VERBS)
        print(_BASH.format(verbs=" ".join(VERBS), cases=cases), end="")
        return
    cases = "\n".join(f"      {verb}) choices=({' '.join(options[verb])}) ;;" for verb in VERBS)
    print(_ZSH.format(verbs=" ".join(VERBS), cases=cases), end="")


def _options(verb: str) -> list[str]:
    _, parser = parser_of(verb)
    return [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
