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


def test_decisions_need_nothing_but_what_describes_them() -> None:
    # So that they can be shipped to wherever a snapshot is kept.
    domain = ROOT / "chalicelib" / "domain"
    needed, left = set[str](), {"decisions"}
    while left:
        name = left.pop()
        needed.add(name)
        tree = ast.parse((domain / f"{name}.py").read_text())
        modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        ours = [module for module in modules if module.startswith("chalicelib.")]
        assert all(module.startswith("chalicelib.domain.") for module in ours), name
        left |= {module.rpartition(".")[2] for module in ours} - needed
    assert needed == {"decisions", "periods", "snapshot_documents", "usage_scopes"}


def test_importing_the_app_leaves_stripe_unloaded() -> None:
    # Stripe costs a third of the cold start of a check, which never needs it.
    code = "import sys, app; sys.exit('stripe' in sys.modules)"
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stdout + done.stderr
