"""The arrows between the packages point one way, and the cheap paths stay cheap."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_imports_as_declared_in_pyproject_hold() -> None:
    done = run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr


def test_app_module_composes_blueprints_and_nothing_else() -> None:
    tree = ast.parse((ROOT / "app.py").read_text())
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    allowed = ("__future__", "chalice", "chalicelib")
    assert {name for name in imported if name.split(".")[0] not in allowed} == set()


def test_importing_the_app_leaves_stripe_unloaded() -> None:
    # Stripe costs a third of the cold start of a check, which never needs it.
    code = "import sys, app; sys.exit('stripe' in sys.modules)"
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stdout + done.stderr
