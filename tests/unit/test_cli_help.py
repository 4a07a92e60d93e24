"""What the command says of itself, and of what is mistyped."""

import re
import shlex
import subprocess
import sys

import pytest

from datawarehouse.cli.examples import EXAMPLES
from datawarehouse.cli.main import VERBS, main, parser_of


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_examples_that_its_arguments_permit(verb):
    _, parser = parser_of(verb)
    assert f"examples:\n  {EXAMPLES[verb][0]}\n" in parser.format_help()
    for example in EXAMPLES[verb]:
        command = re.search(r"\bdw ([^|<>]*)", example)[1]
        parser.parse_args(shlex.split(command.rstrip(')"'))[1:])


def test_a_mistyped_verb(capsys):
    assert main(["sned"]) == 2
    assert capsys.readouterr().err == "dw: There is no verb 'sned'. Did you mean 'send'? `dw --help` lists them.\n"


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version(flag):
    done = subprocess.run([sys.executable, "-m", "datawarehouse", flag], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("dw 0.")


def test_bash_completes_verbs_and_options(capsys):
    main(["completion", "bash"])
    script = capsys.readouterr().out
    asked = (
        'COMP_WORDS=(dw sta); COMP_CWORD=1; _dw; echo "${COMPREPLY[@]}"; '
        'COMP_WORDS=(dw query --dry); COMP_CWORD=2; _dw; echo "${COMPREPLY[@]}"; '
        'COMP_WORDS=(dw send ""); COMP_CWORD=2; _dw; echo "${COMPREPLY[@]}"; '
        'COMP_WORDS=(dw send clicks ""); COMP_CWORD=3; _dw; echo "${COMPREPLY[@]}"; '
        'COMP_WORDS=(dw query --output j); COMP_CWORD=3; _dw; echo "${COMPREPLY[@]}"; '
        'COMP_WORDS=(dw quarantine ""); COMP_CWORD=2; _dw; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script + asked], capture_output=True, text=True, check=True)
    assert done.stdout == "status\n--dry-run\n\n\njson\nls export replay\n"
    main(["completion", "zsh"])
    script = capsys.readouterr().out
    assert "query) choices=(--help --file" in script
    assert '"completion completion") choices=(bash zsh) ;;' in script


def test_ctrl_c_while_a_verb_is_loaded_ends_without_a_traceback(monkeypatch):
    class Interrupts:
        def find_spec(self, name, path, target=None):
            if name == "datawarehouse.cli.lateness":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "datawarehouse.cli.lateness", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupts(), *sys.meta_path])
    assert main(["lateness", "clicks"]) == 130
