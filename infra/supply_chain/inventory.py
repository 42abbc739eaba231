"""The SBOM lists what is locked, no more and no less."""

from pydantic import BaseModel, Field

from infra.supply_chain.locks import Pin


class _Hash(BaseModel):
    alg: str
    content: str


class _Reference(BaseModel):
    hashes: list[_Hash] = []


class _Component(BaseModel):
    name: str
    version: str
    purl: str
    external_references: list[_Reference] = Field(default=[], alias="externalReferences")

    def hashes(self) -> frozenset[str]:
        listed = [one for reference in self.external_references for one in reference.hashes]
        return frozenset(f"{one.alg.replace('-', '').lower()}:{one.content}" for one in listed)


class _Sbom(BaseModel):
    components: list[_Component]


def differences(pins: list[Pin], sbom: str) -> list[str]:
    """What the CycloneDX document tells of the packages otherwise than their lock does; nothing, if all is well."""
    listed = {
        (one.name, one.version): one.hashes() for one in _Sbom.model_validate_json(sbom).components
    }
    locked = {(pin.name, pin.version): pin.hashes for pin in pins}
    return [
        *(f"{name} {version} is not listed" for name, version in sorted(locked.keys() - listed)),
        *(f"{name} {version} is not locked" for name, version in sorted(listed.keys() - locked)),
        *(
            f"{name} {version} is listed with other hashes"
            for name, version in sorted(locked.keys() & listed)
            if locked[name, version] != listed[name, version]
        ),
    ]
