"""JSON values that no page sends, for tests by hypothesis."""

from hypothesis import strategies as st

UNUSUAL = [
    float("nan"), float("inf"), 1e308, -1e308, 5e-324, -0.0, 10**400, -(2**63), 2**61 - 1, True,
    "\ud800", "\0", "../../etc/passwd", "file:///etc/passwd", "http://169.254.169.254/", "{{7*7}}",
    "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "a" * 5000, "\u202e", "", " ", None, [], {},
]  # fmt: skip
SCALARS = st.sampled_from(UNUSUAL) | st.integers(-5, 200) | st.floats(0, 200) | st.text(max_size=8)
KEYS = st.text(max_size=6) | st.just("\ud800")
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner),
    max_leaves=8,
)
