"""What publishing the drafts of plans would change, over HTTP."""

from chalice.app import Blueprint

from chalicelib.api.package_diffs import serve_diffs
from chalicelib.api.package_nouns import PLAN

bp = Blueprint(__name__)

serve_diffs(bp, PLAN)
