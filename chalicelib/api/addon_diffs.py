"""What publishing the drafts of add-ons would change, over HTTP."""

from chalice.app import Blueprint

from chalicelib.api.package_diffs import serve_diffs
from chalicelib.api.package_nouns import ADDON

bp = Blueprint(__name__)

serve_diffs(bp, ADDON)
