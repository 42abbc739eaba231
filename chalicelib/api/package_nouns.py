"""Plans and add-ons are served alike: what tells the one from the other over HTTP."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

from chalicelib.api.package_models import (
    AddonCreate,
    AddonOut,
    AddonUpdate,
    PlanCreate,
    PlanOut,
    PlanUpdate,
    addon_from_domain,
    plan_from_domain,
)
from chalicelib.api.wire import ListOut
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import Package, PackageKind
from chalicelib.ports import Ports
from chalicelib.services import view_packages

C = TypeVar("C", PlanCreate, AddonCreate)
U = TypeVar("U", PlanUpdate, AddonUpdate)
O = TypeVar("O", PlanOut, AddonOut)  # noqa: E741 -- beside C and U it reads as what comes out


@dataclass(frozen=True, slots=True, kw_only=True)
class Noun(Generic[C, U, O]):
    """One kind of package: its words and its models."""

    kind: PackageKind
    name: str
    phrase: str
    create: type[C]
    update: type[U]
    out: type[O]
    page: type[ListOut[O]]
    shown: Callable[[view_packages.PackageView], O]
    draft_object: Literal["plan_draft", "addon_draft"]

    @property
    def plural(self) -> str:
        """The name for several."""
        return f"{self.name}s"

    @property
    def path(self) -> str:
        """Where all of them are."""
        return f"/{self.kind}s"

    @property
    def path_of_one(self) -> str:
        """Where one of them is."""
        return f"{self.path}/{{{self.kind}_id}}"

    def id_in(self, path: Mapping[str, str]) -> PackageId:
        """The id that the path names."""
        return PackageId(path[f"{self.kind}_id"])

    def get(self, ports: Ports, path: Mapping[str, str]) -> Package:
        """The package that the path names; raises `NotFoundError`."""
        return view_packages.get_package(ports.store, self.kind, self.id_in(path))


PLAN: Final = Noun(
    kind=PackageKind.PLAN,
    name="plan",
    phrase="a plan",
    create=PlanCreate,
    update=PlanUpdate,
    out=PlanOut,
    page=ListOut[PlanOut],
    shown=plan_from_domain,
    draft_object="plan_draft",
)
ADDON: Final = Noun(
    kind=PackageKind.ADDON,
    name="add-on",
    phrase="an add-on",
    create=AddonCreate,
    update=AddonUpdate,
    out=AddonOut,
    page=ListOut[AddonOut],
    shown=addon_from_domain,
    draft_object="addon_draft",
)
