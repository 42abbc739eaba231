"""The drafts of plans and add-ons beside what is sold: what differs, and for whom.

Apart from the drafts themselves: comparing brings more of the domain than a request for a plan needs.
"""

from chalice.app import Blueprint

from chalicelib.api.diff_models import DiffOut, ImpactOut, diff_from_domain, impact_from_domain
from chalicelib.api.http import Call, endpoint
from chalicelib.api.package_nouns import C, Noun, O, U
from chalicelib.api.wire import NoBody, NoQuery
from chalicelib.domain.api_keys import Scope
from chalicelib.services import diff_package, reckon_impact


def serve_diffs(bp: Blueprint, noun: Noun[C, U, O]) -> None:
    """The blueprint has the routes of this kind of package that compare drafts with what is sold."""
    one = noun.path_of_one

    @endpoint(
        bp,
        "GET",
        f"{one}/diff",
        scope=Scope.CATALOG_READ,
        summary=f"Compare the draft of {noun.phrase} with what is sold",
        answer=DiffOut,
        name=f"diff_{noun.kind}",
    )
    def diff(call: Call[NoBody, NoQuery]) -> DiffOut:
        """What publishing the draft would change, and for whom, if everybody got it."""
        package_id = noun.id_in(call.path)
        return diff_from_domain(diff_package.diff_package(call.ports, noun.kind, package_id))

    @endpoint(
        bp,
        "POST",
        f"{one}/impact",
        scope=Scope.CATALOG_WRITE,
        summary=f"Count whom the draft of {noun.phrase} affects",
        answer=ImpactOut,
        status=202,
        name=f"count_{noun.kind}_impact",
    )
    def count_impact(call: Call[NoBody, NoQuery]) -> ImpactOut:
        """For more subscribers than are counted at once: the count is under way, and the diff shows how far it is.

        It is of the draft as it is now; editing the draft makes it `stale`.
        """
        run = reckon_impact.start_impact(call.ports, noun.kind, noun.id_in(call.path))
        return impact_from_domain(run.status, run.tally)
