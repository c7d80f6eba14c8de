"""Shape annotations such as `Float[Tensor, "b c n"]`: jaxtyping's, or names without effect where it is not installed.

They say what shape a tensor has; the tests check them. The solvers themselves need torch and numpy alone.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Bool, Complex, Float, Int
else:
    try:
        from jaxtyping import Bool, Complex, Float, Int
    except ImportError:

        class Unchecked:
            """`Unchecked[Tensor, "..."]` is `Tensor`."""

            def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
                return item[0]

        Bool = Complex = Float = Int = Unchecked

__all__ = ["Bool", "Complex", "Float", "Int"]
