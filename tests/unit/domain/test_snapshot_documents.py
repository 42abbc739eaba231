"""The document's text: whatever stands in it, all of it and each part of it is read back."""

import json
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.ids import CHOSEN_ID_PATTERN
from chalicelib.domain.snapshot_documents import (
    FeatureDocument,
    ShareDocument,
    SnapshotDocument,
    document_about,
    document_of,
    document_text,
)

WORDS = ("features", "shares", "type", "limit", "source", "sources", "values")
IDS = st.sampled_from(WORDS) | st.from_regex(CHOSEN_ID_PATTERN, fullmatch=True)
# Text that looks like the document's own, in either kind of quotation marks.
TRAPS = st.sampled_from(
    (
        "'limit':{",
        '"limit":{',
        ",'features':{",
        ',"features":{',
        "\\'limit\\':{",
        "','type':'",
        '","type":"',
        "'}",
        '"}',
        "\\",
        "''",
        '"',
    )
)
TEXTS = TRAPS | st.text(max_size=8) | st.lists(TRAPS, max_size=3).map("".join)
SHARES: st.SearchStrategy[ShareDocument] = st.fixed_dictionaries(
    {"source": st.integers(0, 3)},
    optional={
        "values": st.lists(TEXTS, max_size=3),
        "limit": st.integers(0, 10**18),
        "soft": st.just(value=True),
    },
).map(lambda share: cast("ShareDocument", share))
ENTRIES: st.SearchStrategy[FeatureDocument] = st.fixed_dictionaries(
    {"type": st.sampled_from(("enum", "metered")), "shares": st.lists(SHARES, max_size=2)}
).map(lambda entry: cast("FeatureDocument", entry))
DOCUMENTS: st.SearchStrategy[SnapshotDocument] = st.fixed_dictionaries(
    {
        "version": st.integers(1, 9),
        "customer_status": st.just("active"),
        "sources": st.lists(
            st.fixed_dictionaries({"type": st.just("plan"), "id": TEXTS, "start": st.integers(0)}),
            max_size=2,
        ),
        "features": st.dictionaries(IDS, ENTRIES, max_size=5),
    },
    optional={"revoked": st.lists(IDS, max_size=2), "resources": st.lists(IDS, max_size=2)},
).map(lambda document: cast("SnapshotDocument", document))


def about(document: SnapshotDocument, feature_id: str) -> SnapshotDocument:
    features = {name: entry for name, entry in document["features"].items() if name == feature_id}
    return {**document, "features": features}


@given(DOCUMENTS)
def test_document_is_read_back_from_its_text(document: SnapshotDocument) -> None:
    assert document_of(document_text(document)) == document


@given(DOCUMENTS, st.data())
def test_document_about_any_feature_is_the_document_without_the_others(
    document: SnapshotDocument, data: st.DataObject
) -> None:
    text = document_text(document)
    held = sorted(document["features"])
    asked = IDS | TEXTS if not held else st.sampled_from(held) | IDS | TEXTS
    feature_id = data.draw(asked)
    assert document_about(text, feature_id) == about(document, feature_id)


@given(DOCUMENTS, IDS)
def test_document_in_plain_json_of_an_earlier_release_is_read_whole(
    document: SnapshotDocument, feature_id: str
) -> None:
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    assert document_of(text) == document
    assert document_about(text, feature_id) == document


@given(DOCUMENTS)
def test_document_of_equal_content_is_equal_text(document: SnapshotDocument) -> None:
    turned = cast("SnapshotDocument", dict(reversed(document.items())))
    assert document_text(turned) == document_text(document)
