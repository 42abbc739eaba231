"""Plans over HTTP."""

from chalice.app import Blueprint

from chalicelib.api.package_drafts import serve_drafts
from chalicelib.api.package_nouns import PLAN
from chalicelib.api.package_versions import serve_versions

bp = Blueprint(__name__)

serve_drafts(bp, PLAN)
serve_versions(bp, PLAN)
