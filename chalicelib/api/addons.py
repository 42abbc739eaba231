"""Add-ons over HTTP."""

from chalice.app import Blueprint

from chalicelib.api.package_drafts import serve_drafts
from chalicelib.api.package_nouns import ADDON
from chalicelib.api.package_versions import serve_versions

bp = Blueprint(__name__)

serve_drafts(bp, ADDON)
serve_versions(bp, ADDON)
