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
    case "${{COMP_WORDS[1]}} ${{COMP_WORDS[COMP_CWORD-1]}}" in
{choices}
    esac
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
  case "$words[2] $words[CURRENT-1]" in
{choices}
  esac
  if (( $#choices )); then
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
    """Print a script with the verbs, the options of each, and what some of them, and some first arguments, may be."""
    options = {verb: _options(verb) for verb in VERBS}
    named = [(f"{verb} {after}", values) for verb in VERBS for after, values in _choices(verb)]
    if arguments.shell == "bash":
        cases = "\n".join(f'      {verb}) words="{" ".join(options[verb])}" ;;' for verb in VERBS)
        choices = "\n".join(f'      "{place}") words="{values}" ;;' for place, values in named)
        print(_BASH.format(verbs=" ".join(VERBS), cases=cases, choices=choices), end="")
        return
    cases = "\n".join(f"      {verb}) choices=({' '.join(options[verb])}) ;;" for verb in VERBS)
    choices = "\n".join(f'    "{place}") choices=({values}) ;;' for place, values in named)
    print(_ZSH.format(verbs=" ".join(VERBS), cases=cases, choices=choices), end="")


def _options(verb: str) -> list[str]:
    _, parser = parser_of(verb)
    return [option for action in parser._actions for option in action.option_strings if option.startswith("--")]


def _choices(verb: str) -> list[tuple[str, str]]:
    """The values that may stand after an option, or after the verb itself, with blanks between them."""
    _, parser = parser_of(verb)
    first = next((action for action in parser._actions if not action.option_strings), None)
    found = [(verb, first.choices)] if first else []
    found += [(option, action.choices) for action in parser._actions for option in action.option_strings]
    return [(after, " ".join(map(str, choices))) for after, choices in found if choices]
